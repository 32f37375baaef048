// What several machines of one class measure, laid side by side. Internal to check/.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::check {

struct LearnedEvent {
  ExpectedEvent expected;
  Buffer data;  ///< of the first machine that measured it
};
struct LearnedMachine {
  std::uint8_t startup_locality = 0;
  std::vector<LearnedEvent> events;
};

/// Widens `all` to what `machine` measured, too: events that differ get alternatives, or a meaning that both have;
/// events that only some machines have become optional. Error (unsupported): machines that start PCR 0 differently.
Result<void> merge_machine(LearnedMachine& all, LearnedMachine machine);

/// Not one digest on every machine.
bool varies(const ExpectedEvent& event);

}  // namespace ingot::check
