#include "ingot/builder/boot_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/signer/pe.hpp"

namespace ingot::builder {
namespace {

struct Origin {
  const char* path;     ///< in the tree
  const char* package;  ///< Debian's
};
constexpr Origin systemd_boot = {"/usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi"};
constexpr Origin shim = {"/usr/lib/shim/shimx64.efi.signed", "shim-signed"};

constexpr std::uint64_t first_stage_cap_bytes = 16u << 20;
constexpr std::uint64_t kernel_cap_bytes = 256u << 20;

Result<Buffer> content_of(const Tree& tree, const Origin& origin) {
  if (tree.resolve(origin.path) == nullptr)
    return fail(ErrorCode::missing, fmt::format("the base tree has no {}", origin.path),
                fmt::format("add {} to base.packages, or set boot.chain to \"uki\"", origin.package));
  return read_tree_file(tree, origin.path, first_stage_cap_bytes);
}

}  // namespace

Result<SharedSource> first_stage_of(const Tree& base, BootChain chain) {
  if (chain == BootChain::uki) return SharedSource{};
  const auto& origin = chain == BootChain::shim ? shim : systemd_boot;
  auto file = memory_source(TRY(content_of(base, origin)));
  TRY_IN(origin.path, measure::describe_first_stage(*file));
  return file;
}

Result<SharedSource> kernel_of(BootChain chain, const SharedSource& kernel) {
  if (chain != BootChain::shim) return kernel;
  const auto pe = TRY_IN("the kernel", codec::decode_pe(*kernel));
  if (!pe.is_signed()) return kernel;
  auto bytes = TRY_IN("the kernel", read_part(*kernel, 0, pe.certificate_table_offset, kernel_cap_bytes));
  constexpr std::size_t directory_bytes = 8, checksum_bytes = 4;  // a CheckSum of 0 says that there is none
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(pe.security_directory_offset), directory_bytes, 0);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(pe.checksum_offset), checksum_bytes, 0);
  return memory_source(std::move(bytes));
}

Result<ChainFiles> write_chain(BootChain chain, const SharedSource& first_stage, const signer::KeyFolder& keys,
                               const std::string& folder) {
  ChainFiles files{chain, {}, {}};
  if (chain == BootChain::uki) return files;
  if (first_stage == nullptr) return fail(ErrorCode::internal, "a boot chain without its first stage");
  files.first_stage = folder + "/" + output::first_stage;
  if (chain == BootChain::shim) {
    auto out = TRY(OutputFile::create(files.first_stage));
    TRY(out.copy_at(0, *first_stage));
    TRY(out.truncate(first_stage->size()));
    TRY(out.commit());
    return files;
  }
  TRY(signer::sign_pe(first_stage, TRY(keys.load("db")), files.first_stage));
  files.loader_conf = folder + "/" + output::loader_conf;
  TRY(write_file(files.loader_conf, as_bytes(loader_conf)));
  return files;
}

Result<ChainFiles> chain_in(const std::string& folder) {
  const auto path = folder + "/" + output::first_stage;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return ChainFiles{};
  const auto chain = TRY_IN(path, measure::boot_chain_of(*TRY(file_source(path))));
  return ChainFiles{chain, path, chain == BootChain::systemd_boot ? folder + "/" + output::loader_conf : ""};
}

std::vector<EspFile> esp_files(const ChainFiles& chain, const std::string& uki, std::string_view name) {
  const std::string first(measure::first_stage_path);
  switch (chain.chain) {
    case BootChain::uki:
      break;
    case BootChain::systemd_boot:
      return {{first, chain.first_stage},
              {std::string(measure::loader_conf_path), chain.loader_conf},
              {fmt::format("{}{}.efi", measure::uki_folder, name), uki}};
    case BootChain::shim:
      return {{first, chain.first_stage}, {std::string(measure::second_stage_path), uki}};
  }
  return {{first, uki}};
}

Result<ChainKeys> chain_keys(BootChain chain, const codec::SecureBootKeys& own, const SharedSource& first_stage,
                             Bytes vendor_db) {
  ChainKeys keys{own, {}};
  if (chain != BootChain::shim) return keys;
  if (first_stage == nullptr) return fail(ErrorCode::internal, "shim's keys without shim");
  keys.mok_list = own.db;
  keys.secure_boot.db = TRY_IN("shim", measure::db_entry_for(*first_stage, vendor_db));
  return keys;
}

Result<Buffer> read_db(const std::string& vars_path) {
  const auto flash = TRY(read_file(vars_path, codec::variable_store_size_cap_bytes));
  for (auto& variable : TRY_IN(vars_path, codec::decode_variable_store(flash)))
    if (variable.name == "db" && variable.guid == codec::efi_image_security_database_guid)
      return std::move(variable.data);
  return fail(ErrorCode::malformed, fmt::format("{} has no db variable", vars_path),
              "give a variable store with the vendor's keys, as Debian's ovmf has one");
}

// mok.c of shim: MokList must not be visible at run time, or shim deletes it.
std::vector<codec::Variable> chain_variables(const ChainKeys& keys) {
  constexpr std::uint32_t non_volatile_boot_service = 0x3;
  auto variables = codec::secure_boot_variables(keys.secure_boot);
  if (!keys.mok_list.empty())
    variables.push_back({"MokList", measure::shim_lock_guid, non_volatile_boot_service, {}, keys.mok_list});
  return variables;
}

}  // namespace ingot::builder
