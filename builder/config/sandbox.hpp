// What the units of a node are held to. Internal to config/.
#pragma once

#include <string>
#include <string_view>

namespace ingot::builder::detail {

/// The lines of a unit's [Service] section that confine it (systemd.exec(5), systemd.resource-control(5)): those of the
/// base, but for what the table of sandbox.cpp says of the unit. A unit that the table does not know has the base.
/// Paths and ports that follow from a profile are not among them.
std::string sandbox_of(std::string_view unit);

}  // namespace ingot::builder::detail
