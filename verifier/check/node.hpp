// Is it the node that was asked, and does its time go forward? Internal to check/.
#pragma once

#include "ingot/check/boot.hpp"
#include "quote.hpp"

namespace ingot::check {

/// To be called with a quote whose signature holds. `machine_ids`: those that PCR 15 holds. Fills in verdict.state.
void check_node(const NodeQuestion& question, const Evidence& evidence, const std::vector<std::string>& machine_ids,
                const codec::TpmClock& clock, Verdict& verdict);

}  // namespace ingot::check
