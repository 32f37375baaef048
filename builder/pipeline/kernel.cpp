#include "kernel.hpp"

#include <fmt/format.h>
#include <string.h>

#include <array>

namespace ingot::builder {
namespace {

constexpr std::string_view modules_folder = "/usr/lib/modules/";

std::string image_of(const Tree& tree, const std::string& release) {
  for (const auto& path : {fmt::format("/boot/vmlinuz-{}", release), fmt::format("/usr/lib/modules/{}/vmlinuz", release)})
    if (const auto* entry = tree.resolve(path); entry != nullptr && entry->type == EntryType::file) return path;
  return {};
}

}  // namespace

Result<KernelInTree> find_kernel(const Tree& tree) {
  KernelInTree newest;
  for (auto at = tree.entries.lower_bound(std::string(modules_folder)); at != tree.entries.end(); ++at) {
    if (!at->first.starts_with(modules_folder)) break;
    const std::string release = at->first.substr(modules_folder.size());
    if (at->second.type != EntryType::directory || release.find('/') != std::string::npos) continue;
    const std::string image = image_of(tree, release);
    if (!image.empty() && (newest.release.empty() || ::strverscmp(release.c_str(), newest.release.c_str()) > 0))
      newest = {release, image};
  }
  if (newest.release.empty())
    return fail(ErrorCode::missing, "the base tree has no kernel (/boot/vmlinuz-RELEASE with /usr/lib/modules/RELEASE)",
                "set kernel.package, or use a base that carries one");
  return newest;
}

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

}  // namespace ingot::builder
