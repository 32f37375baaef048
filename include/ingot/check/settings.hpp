// Is what the profile sets in force on the running node? By the node's own word: no TPM vouches for the answer.
#pragma once

#include <vector>

#include "ingot/model/finding.hpp"
#include "ingot/model/report.hpp"
#include "ingot/model/setting.hpp"

namespace ingot::check {

/// One finding for each setting that differs or is not there, and for what is there although nothing expects it: a rule
/// of the firewall or of audit, a user who may log in, a member of a privileged group, a listening socket, a mount over
/// the image's files, a unit that failed or was changed at run time, a module that is unsigned. A part of the report
/// that is missing or malformed is one finding of its area. In the order of the areas, then of names; each marked as
/// self-reported. Names and forms of values: verifier/codec/report.md.
std::vector<Finding> check_settings(const std::vector<Setting>& expected, const NodeReport& report);

}  // namespace ingot::check
