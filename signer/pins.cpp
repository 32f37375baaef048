#include "pins.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>

#include "ingot/base/descriptor.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t pin_cap_bytes = 1024;

struct Sources {
  std::mutex lock;
  PinSources given;
  std::optional<crypto::Secret> from_descriptor;  ///< it can't be read twice, and may open several keys
};
Sources& sources() {
  static Sources all;
  return all;
}

/// The first line, in memory that never grew.
Result<crypto::Secret> read_line(int file, const std::string& name) {
  Buffer text(pin_cap_bytes + 1);
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(file, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int why = errno;
      const crypto::Secret wiped(std::move(text));
      return fail(io_error(fmt::format("reading {}", name), why));
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  const crypto::Secret whole(std::move(text));
  if (size > pin_cap_bytes) return fail(ErrorCode::limit, fmt::format("{} is longer than 1 KiB", name));
  auto line = as_text(whole.view().first(size));
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty() || line.find('\0') != std::string_view::npos)
    return fail(ErrorCode::malformed, fmt::format("{} has no PIN or passphrase in its first line", name));
  return crypto::Secret::copy_of(as_bytes(line));
}

Result<crypto::Secret> read_pin_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat info {};
  if (!file.is_open() || ::fstat(file.get(), &info) != 0)
    return fail(io_error(fmt::format("PIN file {}", path), errno));
  if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0)
    return fail(ErrorCode::usage,
                fmt::format("PIN file {} can be read by others (mode {:04o})", path, info.st_mode & 07777),
                fmt::format("chmod 600 {}, and change the PIN if somebody may have read it", path));
  return read_line(file.get(), fmt::format("PIN file {}", path));
}

/// systemd.exec(5), "CREDENTIALS_DIRECTORY". Empty when there is no such credential.
std::string credential(const std::string& name) {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr || *folder == '\0') return {};
  for (const auto& one : {"ingot." + name, std::string("ingot.pin")}) {
    auto path = std::string(folder) + "/" + one;
    std::error_code ec;
    if (one.find('/') == std::string::npos && std::filesystem::exists(path, ec)) return path;
  }
  return {};
}

}  // namespace

void set_pin_sources(PinSources given) {
  auto& all = sources();
  const std::lock_guard guard(all.lock);
  all.given = std::move(given);
  all.from_descriptor.reset();
}

Result<crypto::Secret> get_pin(const PinWanted& wanted) {
  if (!wanted.pin_file.empty()) return read_pin_file(wanted.pin_file);
  auto& all = sources();
  const std::lock_guard guard(all.lock);
  if (!all.given.file.empty()) return read_pin_file(all.given.file);
  if (all.given.descriptor >= 0) {
    if (!all.from_descriptor)
      all.from_descriptor =
          TRY(read_line(all.given.descriptor, fmt::format("descriptor {} (--pin-fd)", all.given.descriptor)));
    return crypto::Secret::copy_of(*all.from_descriptor);
  }
  if (const auto path = credential(wanted.name); !path.empty()) return read_pin_file(path);
  if (all.given.ask) return all.given.ask(fmt::format("Enter {}: ", wanted.of));
  return fail(ErrorCode::missing, fmt::format("{} is needed, and there is no terminal to ask on", wanted.of),
              "give --pin-file or --pin-fd, or the credential ingot." + wanted.name);
}

}  // namespace ingot::signer
