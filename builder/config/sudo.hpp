// What sudoers says of where sessions are recorded. Internal to config/.
#pragma once

#include <string>

#include "ingot/model/profile.hpp"

namespace ingot::builder::detail {

/// Lines of /etc/sudoers for a node that ships its records; empty for others. Precondition: complete_shipping().
std::string sudo_log_lines(const Profile& profile);

}  // namespace ingot::builder::detail
