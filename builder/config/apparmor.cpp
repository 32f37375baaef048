// AppArmor: the profiles that packages bring, all enforced. A profile that only complains, or that names a program to
// leave it unconfined, is not one: it goes.
#include "parts.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view folder = "/etc/apparmor.d/";

/// Whether a profile of the file has the flag `complain` or `unconfined` (apparmor.d(5), "Profile Modes").
bool enforces(std::string_view text) {
  for (std::size_t at = text.find("flags"); at != std::string_view::npos; at = text.find("flags", at + 1)) {
    const auto line = text.substr(at, text.find(')', at) - at);
    for (const auto* mode : {"complain", "unconfined", "kill"})
      if (line.find(mode) != std::string_view::npos) return false;
  }
  return true;
}

// It reads and writes its cache below /var, which tmpfiles makes at each boot.
constexpr std::string_view drop_in = R"([Unit]
After=systemd-tmpfiles-setup.service
)";

}  // namespace

Result<ConfigPart> render_apparmor(const Tree& tree) {
  ConfigPart part;
  if (tree.find("/usr/lib/systemd/system/apparmor.service") == nullptr) return part;
  for (auto at = tree.entries.lower_bound(std::string(folder));
       at != tree.entries.end() && at->first.starts_with(folder); ++at) {
    const auto& [path, entry] = *at;
    if (entry.type != EntryType::file || path.find('/', folder.size()) != std::string::npos) continue;
    const auto text = TRY(read_tree_file(tree, path, 1u << 20));
    if (!enforces(as_text(text))) part.removed.push_back(path);
  }
  add_file(part, "/etc/systemd/system/apparmor.service.d/ingot.conf", drop_in);
  want_unit(part, "apparmor.service", "sysinit.target", "CIS, ANSSI-BP-028 R37");
  return part;
}

}  // namespace ingot::builder::detail
