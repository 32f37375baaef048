// May this release run? Internal to check/.
#pragma once

#include "ingot/check/boot.hpp"

namespace ingot::check {

/// Rollback, revocation and end of the release that the baseline describes.
void check_release(const Baseline& baseline, const NodeQuestion& question, Verdict& verdict);

}  // namespace ingot::check
