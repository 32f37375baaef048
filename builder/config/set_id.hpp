// Which files may be set-id. Internal to config/.
#pragma once

#include <string_view>

#include "ingot/model/profile.hpp"

namespace ingot::builder::detail {

inline constexpr unsigned set_id_bits = 06000;

/// Why a file may keep its set-id bits; empty: it may not.
std::string_view set_id_reason(std::string_view path);
/// sudo is set-id only where somebody has a command to run.
bool may_sudo(const Profile& profile);

}  // namespace ingot::builder::detail
