#include "lifecycle_volumes.hpp"

#include <algorithm>

namespace ingot::cli {

std::string pcr_7_text(const Digests& values) {
  const auto value = values.find(HashAlg::sha256);
  return value == values.end() ? "unknown" : to_hex(value->second);
}

std::vector<std::string> next_values(const LifecycleInputs& inputs, const std::vector<Outcome>& outcomes) {
  constexpr PcrIndex secure_boot_pcr = 7;
  const auto differs = [](const ExpectedEvent& event) {
    return event.pcr == secure_boot_pcr && (!event.is_exact() || !event.optional_block.empty());
  };
  std::vector<std::string> values;
  if (!inputs.platform || std::any_of(inputs.platform->events.begin(), inputs.platform->events.end(), differs))
    return values;
  for (const auto& outcome : outcomes)
    for (const auto& release : outcome.releases)
      if (const auto value = pcr_7_text(release.pcr_7);
          release.boots && std::find(values.begin(), values.end(), value) == values.end())
        values.push_back(value);
  return values;
}

std::vector<std::string> sealed_volumes(const Baseline& baseline, bool wholly) {
  std::vector<std::string> names;
  for (const auto& row : baseline.settings) {
    if (row.area != SettingArea::volume) continue;
    const bool is_whole = row.value.find("signed pcrs ") != std::string::npos;
    const bool is_share = row.value.find("shares ") != std::string::npos && row.value.find("+tpm") != std::string::npos;
    if (is_whole || (is_share && !wholly)) names.push_back(row.name);
  }
  return names;
}

bool is_bound(const check::ReleaseAfter& release, const Digests& after) {
  const auto value = after.find(HashAlg::sha256);
  const auto& bound = release.baseline.next_pcr_7;
  return value != after.end() && std::find(bound.begin(), bound.end(), value->second) != bound.end();
}

bool any_closes(const Outcome& now, const std::vector<Outcome>& outcomes) {
  const auto* before = &now;
  for (const auto& outcome : outcomes) {
    for (const auto& earlier : before->releases)
      for (const auto& release : outcome.releases)
        if (earlier.boots && release.boots && earlier.pcr_7 != release.pcr_7 &&
            !sealed_volumes(earlier.baseline, true).empty() && !is_bound(earlier, release.pcr_7))
          return true;
    before = &outcome;
  }
  return false;
}

}  // namespace ingot::cli
