// What becomes of volumes that a TPM holds while Secure Boot keys are replaced. Internal to cli/.
#pragma once

#include "ingot/check/release_after.hpp"
#include "lifecycle.hpp"

namespace ingot::cli {

/// What a step makes of the machines and of each release.
struct Outcome {
  std::optional<Platform> platform;
  std::vector<check::ReleaseAfter> releases;
};

/// SHA-256, hexadecimal.
std::string pcr_7_text(const Digests& values);

/// All that PCR 7 becomes on machines that take the steps, for the profile of the release that they boot before. None
/// where that cannot be told: without a platform, or with one whose machines differ in PCR 7.
std::vector<std::string> next_values(const LifecycleInputs& inputs, const std::vector<Outcome>& outcomes);

/// Volumes whose key is sealed to PCR 7, as the settings of the image say (verifier/codec/report.md): wholly, or a
/// share of it. The latter are not sealed to other values.
std::vector<std::string> sealed_volumes(const Baseline& baseline, bool wholly);

/// Whether nodes that ran `release` have sealed their volumes to what PCR 7 is `after` a step.
bool is_bound(const check::ReleaseAfter& release, const Digests& after);

/// Some node that runs any of the releases that start before a step, and any of those that start after it, would have
/// its volumes closed.
bool any_closes(const Outcome& now, const std::vector<Outcome>& outcomes);

}  // namespace ingot::cli
