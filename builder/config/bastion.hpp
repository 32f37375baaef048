// What other subjects need to know of the bastion: sshd's ForceCommand, the account, who may what. Internal to config/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ingot/builder/config.hpp"

namespace ingot::builder::detail {

/// sshd's ForceCommand on a bastion, for everybody.
inline constexpr std::string_view bastion_command = "/usr/lib/ingot/ingot-bastion";
/// System account that alone can read the onward key. Debian gives numbers below 1000 from the top downwards.
inline constexpr std::string_view onward_account = "ingot-onward";
inline constexpr std::string_view onward_uid = "899";

inline bool is_bastion(const Profile& profile) { return profile.bastion.enabled; }
/// Content of /etc/sudoers.d/ingot-bastion: how onward sessions are recorded, and who may open them.
std::string bastion_sudoers(const Profile& profile);

/// Scripts of the bastion, in bastion_scripts.cpp.
extern const std::string_view bastion_front_door;  ///< bastion_command
extern const std::string_view bastion_onward;      ///< /usr/lib/ingot/ingot-onward
extern const std::string_view bastion_care;        ///< /usr/lib/ingot/ingot-bastion-care
extern const std::string_view bastion_key;         ///< /usr/lib/ingot/ingot-onward-key

}  // namespace ingot::builder::detail
