#include "ingot/rig/tamper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "addon.hpp"
#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/check/image.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

struct CaseRow {
  TamperCase tamper;
  std::string_view name;
  std::string_view what;
};
constexpr std::array<CaseRow, 9> rows = {{
    {TamperCase::cmdline, "cmdline", "module.sig_enforce=1 becomes 0 in .cmdline, signed again with the right key"},
    {TamperCase::unsigned_uki, "unsigned", "the UKI's signature is removed"},
    {TamperCase::stranger, "stranger", "the UKI is signed with a key that is not in db"},
    {TamperCase::root_bit, "root-bit", "one bit of the root file system is flipped"},
    {TamperCase::addon, "addon", "a signed addon with a command line is dropped on the ESP"},
    {TamperCase::credential, "credential", "a credential file is dropped on the ESP"},
    {TamperCase::partition, "partition", "a partition is added to the GPT"},
    {TamperCase::db_certificate, "db-cert", "a stranger's certificate is added to db"},
    {TamperCase::smbios_credential, "smbios-credential", "an SSH key for root is handed in through SMBIOS"},
}};

/// A disk that may be changed: sparse, so that a copy costs what its content costs.
Result<void> copy_disk(const TamperInput& input, BootRequest& request) {
  const std::string copy = input.scratch + "/disk.raw";
  TRY(builder::run_checked({.argv = {"cp", "--sparse=always", "--reflink=auto", request.disk, copy}}));
  request.disk = copy;
  return {};
}

Result<std::string> esp_of(const std::string& disk_path) {
  const auto gpt = TRY(codec::decode_gpt(*TRY(file_source(disk_path))));
  for (const auto& partition : gpt.partitions)
    if (partition.type == codec::esp_type)
      return fmt::format("{}@@{}", disk_path, partition.first_lba * codec::lba_size_bytes);
  return fail(ErrorCode::malformed, fmt::format("{} has no EFI system partition", disk_path));
}

Result<void> put_on_esp(const std::string& disk_path, const std::string& from, const std::string& to) {
  const auto esp = TRY(esp_of(disk_path));
  TRY(builder::run_checked({.argv = {"mcopy", "-o", "-i", esp, from, to}}));
  return {};
}

Result<signer::SigningKey> db_key(const std::string& keys_folder) {
  if (keys_folder.empty())
    return fail(ErrorCode::usage, "this case signs with the right key, which needs --keys",
                "give the key folder of the build");
  const auto keys = TRY(signer::open_keys(keys_folder));
  return signer::SigningKey::load(keys.key("db"), keys.certificate("db"));
}

Result<signer::SigningKey> stranger_key(const std::string& scratch) {
  const auto keys = TRY(signer::init_keys(scratch + "/stranger"));
  return signer::SigningKey::load(keys.key("db"), keys.certificate("db"));
}

/// Where the UKI lies, for mtools.
std::string uki_on_esp(const check::ImageParts& image) { return "::" + image.uki_path; }
/// Where the stub looks for more.
std::string extra_folder(const check::ImageParts& image) { return uki_on_esp(image) + ".extra.d"; }

/// Replaces text of one section by text of the same length; sections keep their place.
Result<void> edit_section(const std::string& path, std::string_view section_name, std::string_view from,
                          std::string_view to) {
  const auto source = TRY(file_source(path));
  const auto pe = TRY(codec::decode_pe(*source));
  const auto* section = pe.find(section_name);
  if (section == nullptr) return fail(ErrorCode::malformed, fmt::format("the UKI has no {} section", section_name));
  auto bytes = TRY(read_part(*source, section->raw_offset, section->raw_size, 1u << 20));
  const auto at = as_text(bytes).find(from);
  if (at == std::string_view::npos)
    return fail(ErrorCode::unsupported, fmt::format("{} does not contain \"{}\"", section_name, from),
                "this case needs an image whose profile keeps the default command line");
  std::copy(to.begin(), to.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  auto out = TRY(OutputFile::create(path));
  TRY(out.copy_at(0, *source));
  TRY(out.truncate(source->size()));
  TRY(out.write_at(section->raw_offset, bytes));
  return out.commit();
}

Result<void> replace_uki(const TamperInput& input, BootRequest& request, const signer::SigningKey* key,
                         bool edit_command_line) {
  TRY(copy_disk(input, request));
  const auto image = TRY(check::open_image(TRY(file_source(request.disk))));
  std::string uki = input.scratch + "/stripped.efi";
  TRY(signer::strip_pe(image.uki, uki));
  if (edit_command_line) TRY(edit_section(uki, ".cmdline", "module.sig_enforce=1", "module.sig_enforce=0"));
  if (key != nullptr) {
    const std::string resigned = input.scratch + "/resigned.efi";
    signer::PeSigning how;
    how.checksum = signer::OldChecksum::ignore;  // an attacker does not stop at it
    TRY(signer::sign_pe(TRY(file_source(uki)), *key, resigned, how));
    uki = resigned;
  }
  return put_on_esp(request.disk, uki, uki_on_esp(image));
}

/// The superblock is the one block that every boot reads.
Result<void> flip_root_bit(const TamperInput& input, BootRequest& request) {
  TRY(copy_disk(input, request));
  const auto disk = TRY(file_source(request.disk));
  const auto gpt = TRY(codec::decode_gpt(*disk));
  for (const auto& partition : gpt.partitions) {
    if (partition.type != codec::root_x86_64_type) continue;
    const std::uint64_t offset = partition.first_lba * codec::lba_size_bytes + 8;
    auto byte = TRY(read_part(*disk, offset, 1, 1));
    byte[0] ^= 0x01;
    auto out = TRY(OutputFile::create(request.disk));
    TRY(out.copy_at(0, *disk));
    TRY(out.truncate(disk->size()));
    TRY(out.write_at(offset, byte));
    return out.commit();
  }
  return fail(ErrorCode::malformed, "the disk has no root partition", "this case needs a full image");
}

Result<void> drop_credential(const TamperInput& input, BootRequest& request) {
  TRY(copy_disk(input, request));
  const std::string file = input.scratch + "/evil.cred";
  TRY(write_file(file, as_bytes("root:hunter2\n")));
  const auto folder = extra_folder(TRY(check::open_image(TRY(file_source(request.disk)))));
  const auto esp = TRY(esp_of(request.disk));
  TRY(builder::run_checked({.argv = {"mmd", "-i", esp, folder}}));
  return put_on_esp(request.disk, file, folder + "/evil.cred");
}

Result<void> drop_addon(const TamperInput& input, BootRequest& request) {
  const auto key = TRY(db_key(input.keys));
  TRY(copy_disk(input, request));
  const auto folder = extra_folder(TRY(check::open_image(TRY(file_source(request.disk)))));
  const std::string plain = input.scratch + "/addon.efi";
  const std::string addon = input.scratch + "/evil.addon.efi";
  TRY(write_addon(" systemd.debug_shell=1", plain));
  TRY(signer::sign_pe(TRY(file_source(plain)), key, addon));
  const auto esp = TRY(esp_of(request.disk));
  TRY(builder::run_checked({.argv = {"mmd", "-i", esp, folder}}));
  return put_on_esp(request.disk, addon, folder + "/evil.addon.efi");
}

Result<void> add_partition(const TamperInput& input, BootRequest& request) {
  TRY(copy_disk(input, request));
  const auto disk = TRY(file_source(request.disk));
  auto gpt = TRY(codec::decode_gpt(*disk));
  constexpr std::uint64_t added_lba = 16384;  // 8 MiB
  const std::uint64_t first = gpt.disk_size_lba;
  gpt.disk_size_lba += added_lba;
  gpt.partitions.push_back({codec::linux_generic_type, derive_guid(crypto::sha256(as_bytes("stowaway"))), first,
                            gpt.disk_size_lba - 34, 0, "stowaway"});
  const auto encoded = TRY(codec::encode_gpt(gpt));
  auto out = TRY(OutputFile::create(request.disk));
  TRY(out.copy_at(0, *disk));
  TRY(out.truncate(gpt.disk_size_lba * codec::lba_size_bytes));
  TRY(out.write_at(0, encoded.primary));
  TRY(out.write_at((gpt.disk_size_lba - 33) * codec::lba_size_bytes, encoded.backup));
  return out.commit();
}

Result<void> widen_db(const TamperInput& input, BootRequest& request) {
  const auto stranger = TRY(signer::init_keys(input.scratch + "/stranger"));
  const auto key = TRY(signer::SigningKey::load(stranger.key("db"), stranger.certificate("db")));
  auto variables =
      TRY(codec::decode_variable_store(TRY(read_file(request.vars, codec::variable_store_size_cap_bytes))));
  const auto owner = TRY(signer::owner_guid(stranger));
  const auto certificate = TRY(key.certificate());
  const auto extra = codec::encode_signature_lists({codec::x509_list(owner, certificate.der())});
  for (auto& variable : variables)
    if (variable.name == "db") variable.data.insert(variable.data.end(), extra.begin(), extra.end());
  const auto store =
      TRY(codec::write_variables(TRY(read_file(input.vars_template, codec::variable_store_size_cap_bytes)), variables));
  request.vars = input.scratch + "/VARS.fd";
  return write_file(request.vars, store);
}

}  // namespace

std::string to_text(TamperCase tamper) {
  for (const auto& row : rows)
    if (row.tamper == tamper) return std::string(row.name);
  return {};
}

std::optional<TamperCase> parse_tamper_case(std::string_view text) {
  for (const auto& row : rows)
    if (row.name == text) return row.tamper;
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> tamper_cases() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& row : rows) out.emplace_back(row.name, row.what);
  return out;
}

Result<void> tamper(const TamperInput& input, BootRequest& request) {
  switch (input.tamper) {
    case TamperCase::cmdline: {
      const auto key = TRY(db_key(input.keys));
      return replace_uki(input, request, &key, true);
    }
    case TamperCase::unsigned_uki:
      return replace_uki(input, request, nullptr, false);
    case TamperCase::stranger: {
      const auto key = TRY(stranger_key(input.scratch));
      return replace_uki(input, request, &key, false);
    }
    case TamperCase::root_bit:
      return flip_root_bit(input, request);
    case TamperCase::addon:
      return drop_addon(input, request);
    case TamperCase::credential:
      return drop_credential(input, request);
    case TamperCase::partition:
      return add_partition(input, request);
    case TamperCase::db_certificate:
      return widen_db(input, request);
    case TamperCase::smbios_credential:
      request.smbios_credentials.push_back(
          "io.systemd.credential:ssh.authorized_keys.root=ssh-ed25519 "
          "AAAAC3NzaC1lZDI1NTE5AAAAIIngotTamperCaseKeyThatNobodyHolds000000000000 stowaway");
      return {};
  }
  return fail(ErrorCode::internal, "a tamper case without an action");
}

}  // namespace ingot::rig
