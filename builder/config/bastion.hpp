// What makes a node the bastion: [ssh.onward] names nodes. Internal to config/.
#pragma once

#include <string>

#include "ingot/builder/config.hpp"

namespace ingot::builder::detail {

inline constexpr std::string_view bastion_command = "/usr/lib/ingot/ingot-bastion";
/// System account that alone can read the onward key; Debian gives numbers below 1000 from the top downwards.
inline constexpr std::string_view onward_account = "ingot-onward";
inline constexpr std::string_view onward_uid = "899";

bool is_bastion(const Profile& profile);
ConfigPart render_bastion(const Profile& profile);
/// Lines of sudoers that let each user open onward sessions, and nothing else.
std::string bastion_sudoers(const Profile& profile);

}  // namespace ingot::builder::detail
