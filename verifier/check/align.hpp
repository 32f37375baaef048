// One PCR's measured events against the expected ones. Internal to check/.
#pragma once

#include "ingot/model/baseline.hpp"
#include "ingot/model/event.hpp"
#include "ingot/model/finding.hpp"

namespace ingot::check {

/// The first place where expected and measured part ways.
struct Difference {
  FindingKind kind = FindingKind::event_differs;
  const ExpectedEvent* expected = nullptr;  ///< null when the measured event stands where nothing is expected
  const Event* observed = nullptr;          ///< null when nothing was measured
  std::vector<std::string> also;            ///< causes of further expected events that differ
};

struct Alignment {
  /// The expected events as this boot took them: optional blocks as often as they were measured.
  struct Step {
    const ExpectedEvent* expected = nullptr;
    /// What stands at its place, when it matches in another way than by `expected->digests`.
    const Event* taken = nullptr;
  };
  std::vector<Step> path;
  /// Optional blocks that were taken, and how often.
  std::vector<std::pair<std::string, std::uint32_t>> taken;
  /// Measured events whose digest is right and whose type is not the expected one.
  std::vector<std::pair<const ExpectedEvent*, const Event*>> relabelled;
  std::optional<Difference> difference;
};

/// Digests of a step that a boot which matches it measured.
const Digests& digests_of(const Alignment::Step& step);

/// By digest, by one of the alternatives, or by meaning.
bool matches(const ExpectedEvent& expected, const Event& observed);

/// Expected and measured events of one PCR side by side; null where one of the two is missing.
struct Pair {
  const ExpectedEvent* expected = nullptr;
  const Event* observed = nullptr;
};
std::vector<Pair> side_by_side(const Alignment& alignment, const std::vector<const Event*>& observed);

/// True when the two have a predicted bank in common and agree in all such banks.
bool same_digests(const Digests& expected, const Digests& observed);

/// Both lists hold one PCR's events in order; EV_NO_ACTION left out.
Alignment align(const std::vector<const ExpectedEvent*>& expected, const std::vector<const Event*>& observed);

}  // namespace ingot::check
