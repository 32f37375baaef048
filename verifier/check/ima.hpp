// What ran and was read on the node, against the image's files. Internal to check/.
#pragma once

#include "ingot/check/boot.hpp"

namespace ingot::check {

/// Judges the IMA list of evidence whose quote holds; goes on where question.last stopped, when that was in this boot.
/// Error (malformed): a list that cannot be decoded.
Result<void> check_ima(const BootQuestion& question, const Evidence& evidence, const std::vector<HashAlg>& banks,
                       Verdict& verdict);

}  // namespace ingot::check
