#include <algorithm>

#include "ingot/codec/event_log.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::measure {

PcrValues replay_expected(const std::vector<ExpectedEvent>& events, std::span<const PcrIndex> also) {
  PcrValues values;
  for (const auto alg : predicted_banks) {
    const bool complete = std::all_of(events.begin(), events.end(),
                                      [&](const ExpectedEvent& event) { return event.digests.contains(alg); });
    if (!complete) continue;
    PcrBank& bank = values[alg];
    for (const auto& event : events)
      if (event.optional_block.empty()) codec::extend_into(bank, alg, event.pcr, event.digests.at(alg));
    for (const auto pcr : also) bank.try_emplace(pcr, codec::pcr_start_value(alg, pcr, 0));
  }
  return values;
}

Result<std::vector<Baseline::PhaseValue>> phase_values(const std::vector<ExpectedEvent>& sections,
                                                       const std::vector<std::string>& phases) {
  std::vector<ExpectedEvent> events = sections;
  std::vector<Baseline::PhaseValue> values;
  std::string path;
  for (auto& phase : phase_events(phases)) {
    path += (path.empty() ? "" : ":") + phase.text;
    const PcrIndex pcr = phase.pcr;
    events.push_back(std::move(phase));
    Baseline::PhaseValue value{path, {}};
    for (const auto& [alg, bank] : replay_expected(events, {})) value.value[alg] = bank.at(pcr);
    if (value.value.empty()) return fail(ErrorCode::internal, "the section events have no common bank");
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace ingot::measure
