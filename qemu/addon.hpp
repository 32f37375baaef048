#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::rig {

/// A PE file that systemd-stub takes as an addon: a .cmdline section and no kernel. UAPI group, UKI specification, "PE
/// Addons".
Result<void> write_addon(const std::string& command_line, const std::string& out_path);

}  // namespace ingot::rig
