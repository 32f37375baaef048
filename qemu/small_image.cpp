#include "ingot/rig/small_image.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::rig {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view modules_folder = "/usr/lib/modules/";
constexpr const char* stub_path = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
constexpr std::uint64_t store_size_cap = 16u << 20;

const builder::TreeEntry* find_file(const builder::Tree& tree, const std::string& path) {
  const auto* entry = tree.resolve(path);
  if (entry != nullptr && !entry->hard_link_to.empty()) entry = tree.resolve(entry->hard_link_to);
  return entry != nullptr && entry->type == builder::EntryType::file && entry->content ? entry : nullptr;
}

Result<void> add_policy(builder::UkiParts& parts, const signer::KeyFolder& keys, const std::string& draft_path) {
  const auto key = TRY(signer::SigningKey::load(keys.key("pcr")));
  parts.pcr_public_key_pem = key.public_key().pem();
  // .pcrsig is the one section that no stub measures, so a draft without it has the same PCR 11.
  TRY(builder::write_uki(parts, draft_path));
  const auto draft = TRY(file_source(draft_path));
  const auto sections = TRY(measure::section_events(*draft, TRY(codec::decode_pe(*draft))));
  parts.pcr_signature_json =
      TRY(signer::pcr_signature_json(TRY(measure::phase_values(sections, {"enter-initrd"})), key));
  return {};
}

}  // namespace

Result<builder::UkiParts> small_image_parts(const builder::Tree& base) {
  builder::UkiParts parts;
  if (const auto* stub = find_file(base, stub_path)) parts.stub = stub->content;
  for (auto at = base.entries.lower_bound(std::string(modules_folder));
       at != base.entries.end() && at->first.starts_with(modules_folder); ++at) {
    const std::string release = at->first.substr(modules_folder.size());
    if (release.find('/') != std::string::npos) continue;
    for (const auto& path :
         {fmt::format("/boot/vmlinuz-{}", release), fmt::format("{}{}/vmlinuz", modules_folder, release)})
      if (const auto* kernel = find_file(base, path)) {
        parts.kernel = kernel->content;
        parts.uname = release;
      }
  }
  if (!parts.stub || !parts.kernel)
    return fail(ErrorCode::missing, fmt::format("the tree has no {}", parts.stub ? "kernel" : stub_path),
                "use a tree with systemd-boot-efi and a kernel");
  parts.os_release = std::string(as_text(TRY(builder::read_tree_file(base, "/etc/os-release", 1u << 20))));
  parts.command_line = builder::probe_command_line;
  return parts;
}

Result<void> make_small_image(const SmallImage& image, const std::string& out) {
  std::error_code ec;
  fs::create_directories(out, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", out), ec.value()));
  const auto keys = TRY(signer::open_keys(image.keys));
  const auto scratch = TRY(builder::TemporaryFolder::create(out, ".small-"));
  const std::string initrd = scratch.path() + "/initrd";
  const std::string uki = scratch.path() + "/uki.efi";
  const std::string signed_uki = out + "/" + builder::output::uki;
  TRY(builder::make_probe_initrd(image.agent, initrd));
  auto parts = image.parts;
  parts.initrd = TRY(file_source(initrd));
  TRY(add_policy(parts, keys, uki));
  TRY(builder::write_uki(parts, uki));
  const auto db = TRY(signer::SigningKey::load(keys.key("db"), keys.certificate("db")));
  TRY(signer::sign_pe(TRY(file_source(uki)), db, signed_uki));
  TRY(make_probe_disk(signed_uki, out + "/" + builder::output::disk));
  const auto empty = TRY(read_file(image.vars_template, store_size_cap));
  const auto variables = codec::secure_boot_variables(TRY(signer::secure_boot_keys(keys)));
  return write_file(out + "/" + builder::output::vars,
                    TRY_IN(image.vars_template, codec::write_variables(empty, variables)));
}

}  // namespace ingot::rig
