// The subjects of render_settings(), one file each, and the few lines that they share. Internal to config/.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

#include "ingot/builder/config.hpp"
#include "ingot/builder/settings.hpp"

namespace ingot::builder::detail {

Result<ConfigPart> render_kernel(const Profile& profile);
Result<ConfigPart> render_ssh(const Profile& profile, const Tree& tree);
Result<ConfigPart> render_accounts(const Profile& profile, const Tree& tree);
Result<ConfigPart> render_sudo(const Profile& profile);
Result<ConfigPart> render_audit(const Profile& profile, const Tree& tree);
Result<ConfigPart> render_services(const Profile& profile, const Tree& tree);
ConfigPart render_time(const Profile& profile, const Tree& tree);
Result<ConfigPart> render_apparmor(const Tree& tree);
/// Takes the set-id bits of every file that has no reason to keep them.
Result<ConfigPart> render_set_id(const Profile& profile, const Tree& tree);

inline void add_file(ConfigPart& part, std::string path, std::string_view text, unsigned mode = 0644) {
  part.files.push_back({std::move(path), to_buffer(as_bytes(text)), mode, 0, 0});
}

/// Masks a unit and says so.
inline void mask_unit(ConfigPart& part, std::string_view unit, std::string_view source) {
  auto path = fmt::format("/etc/systemd/system/{}", unit);
  part.links.push_back({path, "/dev/null"});
  part.settings.push_back({SettingArea::unit, std::string(unit), "masked", std::move(path), std::string(source), ""});
}

/// Starts a unit of the tree with another one ("multi-user.target"), and says that it must run.
inline void want_unit(ConfigPart& part, std::string_view unit, std::string_view by, std::string_view source) {
  part.links.push_back(
      {fmt::format("/etc/systemd/system/{}.wants/{}", by, unit), fmt::format("/usr/lib/systemd/system/{}", unit)});
  part.settings.push_back({SettingArea::unit, std::string(unit), "active",
                           fmt::format("/usr/lib/systemd/system/{}", unit), std::string(source), ""});
}

/// First line of every file that we render.
inline constexpr std::string_view made_by =
    "# Made by Ingot from the profile. The root file system is read-only: change the profile and cast again.\n";

}  // namespace ingot::builder::detail
