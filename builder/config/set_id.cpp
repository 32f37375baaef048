// Set-id files: each that keeps its bits has a reason here; all others lose them. Nobody has a password, so nobody
// needs to change one, and mounts are systemd's.
#include "set_id.hpp"

#include <algorithm>

#include "bastion.hpp"
#include "parts.hpp"

namespace ingot::builder::detail {
namespace {

struct Allowed {
  std::string_view path;
  std::string_view why;
};
constexpr Allowed allowed[] = {
    {"/usr/bin/sudo", "the one way to root, recorded"},
    {"/usr/sbin/unix_chkpwd", "pam_unix asks it whether an account has expired when a session starts without root"},
    {"/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "the system bus starts services as their own users"},
};

}  // namespace

std::string_view set_id_reason(std::string_view path) {
  const auto* found =
      std::find_if(std::begin(allowed), std::end(allowed), [&](const Allowed& row) { return row.path == path; });
  return found == std::end(allowed) ? std::string_view{} : found->why;
}

Result<ConfigPart> render_set_id(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  for (const auto& [path, entry] : tree.entries) {
    if (entry.type != EntryType::file || (entry.mode & set_id_bits) == 0) continue;
    const bool keeps = !set_id_reason(path).empty() && (path != "/usr/bin/sudo" || may_sudo(profile));
    // What the node reports need not repeat it: verity vouches for the modes of the root.
    if (!keeps) part.modes.push_back({path, entry.mode & ~set_id_bits});
  }
  return part;
}

bool may_sudo(const Profile& profile) {
  return is_bastion(profile) || std::any_of(profile.users.begin(), profile.users.end(),
                                            [](const auto& user) { return !user.second.sudo.empty(); });
}

}  // namespace ingot::builder::detail
