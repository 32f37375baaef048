#include "kernel.hpp"

#include <fmt/format.h>
#include <string.h>

namespace ingot::builder {
namespace {

constexpr std::string_view modules_folder = "/usr/lib/modules/";

std::string image_of(const Tree& tree, const std::string& release) {
  for (const auto& path :
       {fmt::format("/boot/vmlinuz-{}", release), fmt::format("/usr/lib/modules/{}/vmlinuz", release)})
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

}  // namespace ingot::builder
