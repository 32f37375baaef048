#include "ingot/builder/boot_uki.hpp"

#include <fmt/format.h>

#include "../image/kernel.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::builder {
namespace {

Result<std::string> find_stub(const Tree& tree, const std::string& configured) {
  const std::string path = configured.empty() ? "/usr/lib/systemd/boot/efi/linuxx64.efi.stub" : configured;
  if (tree.resolve(path) != nullptr) return path;
  return fail(ErrorCode::missing, fmt::format("the base tree has no systemd stub at {}", path),
              "add systemd-boot-efi to base.packages, or set boot.stub");
}

Result<SharedSource> tree_content(const Tree& tree, const std::string& path) {
  const auto* entry = tree.resolve(path);
  if (entry != nullptr && !entry->hard_link_to.empty()) entry = tree.resolve(entry->hard_link_to);
  if (entry == nullptr || entry->type != EntryType::file)
    return fail(ErrorCode::missing, fmt::format("the tree has no file {}", path));
  return entry->content ? entry->content : memory_source({});
}

/// No stub measures .pcrsig, so a UKI without it has the PCR 11 that is to be signed.
Result<std::string> policy_signature(const UkiParts& parts, const signer::SigningKey& key,
                                     const signer::KeyFolder& keys) {
  const auto draft = TRY(uki_source(parts));
  const auto sections = TRY(measure::section_events(*draft, TRY(codec::decode_pe(*draft))));
  const auto values = TRY(measure::phase_values(sections, {"enter-initrd"}));
  if (parts.generation == 0) return signer::pcr_signature_json(values, key);
  if (parts.system_phases.size() < 2) return signer::release_signature_json(values.front(), parts.generation, key);
  const auto system_key = TRY(keys.load("pcr-system"));
  signer::SystemPolicies system{TRY(measure::phase_values(sections, parts.system_phases)), &system_key};
  system.phases.erase(system.phases.begin());
  return signer::release_signature_json(values.front(), parts.generation, key, system);
}

}  // namespace

Result<UkiParts> boot_parts(const Tree& base, const std::string& stub) {
  const auto kernel = TRY(find_kernel(base));
  UkiParts parts;
  parts.stub = TRY(tree_content(base, TRY(find_stub(base, stub))));
  parts.kernel = TRY(tree_content(base, kernel.image));
  parts.uname = kernel.release;
  parts.os_release = std::string(as_text(TRY(read_tree_file(base, "/etc/os-release", 1u << 20))));
  return parts;
}

Result<SharedSource> append_archive(const SharedSource& initrd, const SharedSource& archive) {
  const std::uint64_t at = (initrd->size() + 3) / 4 * 4;
  return joined_source({{0, initrd}, {at, archive}}, at + archive->size());
}

Result<void> make_signed_uki(UkiParts parts, PcrPolicy policy, const signer::KeyFolder& keys,
                             const std::string& out_path) {
  const auto db = TRY(keys.load("db"));
  parts.pcr_public_key_pem.clear();
  parts.pcr_signature_json.clear();
  if (policy == PcrPolicy::signed_by_pcr_key) {
    const auto key = TRY(keys.load("pcr"));
    parts.pcr_public_key_pem = key.public_key().pem();
    parts.pcr_signature_json = TRY(policy_signature(parts, key, keys));
  }
  return signer::sign_pe(TRY(uki_source(parts)), db, out_path);
}

}  // namespace ingot::builder
