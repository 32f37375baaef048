#include "efivars.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "ingot/base/reader.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/authenticated_variable.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t variable_cap_bytes = 1u << 20;
constexpr std::size_t attributes_size = 4;

}  // namespace

Result<void> check_efivars(const std::string& efivars) {
  std::error_code ec;
  if (fs::exists(variable_path(efivars, "SetupMode", codec::efi_global_variable_guid), ec)) return {};
  return fail(ErrorCode::missing, fmt::format("{} has no EFI variables of Secure Boot", efivars),
              "on a node that UEFI firmware started: mount -t efivarfs efivarfs /sys/firmware/efi/efivars");
}

std::string variable_path(const std::string& efivars, std::string_view name, const Guid& guid) {
  return fmt::format("{}/{}-{}", efivars, name, to_text(guid));
}

Result<std::optional<EfiVariable>> read_variable(const std::string& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return std::optional<EfiVariable>{};
  const auto bytes = TRY(read_file(path, variable_cap_bytes));
  if (bytes.size() < attributes_size)
    return fail(ErrorCode::malformed, fmt::format("{} is shorter than its attributes", path));
  Reader in{bytes};
  EfiVariable variable{in.u32le(), {}};
  variable.data = to_buffer(in.rest());
  return in.finish(std::optional<EfiVariable>(std::move(variable)));
}

}  // namespace ingot::agent
