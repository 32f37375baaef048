// May this release run? Internal to check/.
#pragma once

#include "ingot/check/boot.hpp"

namespace ingot::check {

/// Rollback, revocation and end of the release that question.baseline describes.
void check_release(const BootQuestion& question, Verdict& verdict);

}  // namespace ingot::check
