#include "align.hpp"

#include <algorithm>

#include "ingot/codec/event_data.hpp"

namespace ingot::check {
namespace {

using Expected = std::vector<const ExpectedEvent*>;
using Observed = std::vector<const Event*>;

bool means(const GptMeaning& wanted, const Event& observed) {
  if (!codec::is_digest_of(observed, observed.data)) return false;
  const auto golden = codec::decode_measured_gpt(wanted.golden);
  const auto found = codec::decode_measured_gpt(observed.data);
  if (!golden || !found || golden->disk != found->disk) return false;
  // No partition may lie over a golden one, or go by its GUID.
  if (!codec::check_gpt_layout(found->partitions, found->first_usable_lba, found->last_usable_lba)) return false;
  const auto holds = [](const auto& list, const auto& one) {
    return std::find(list.begin(), list.end(), one) != list.end();
  };
  return std::all_of(golden->partitions.begin(), golden->partitions.end(),
                     [&](const auto& partition) { return holds(found->partitions, partition); }) &&
         std::all_of(found->partitions.begin(), found->partitions.end(), [&](const auto& partition) {
           return holds(golden->partitions, partition) || holds(wanted.allowed_types, partition.type);
         });
}

bool means(const BootEntryMeaning& wanted, const Event& observed) {
  const auto variable = codec::decode_measured_variable(observed.data);
  // EV_EFI_VARIABLE_BOOT is over the variable's data alone, EV_EFI_VARIABLE_BOOT2 over all of it.
  if (!variable || (!codec::is_digest_of(observed, observed.data) && !codec::is_digest_of(observed, variable->data)))
    return false;
  const auto option = codec::decode_load_option(variable->data);
  return option && option->device_path == wanted.device_path;
}

bool means(std::monostate, const Event&) { return false; }

/// Types that stand for the same measurement in older and newer firmware (TCG PFP 1.06, "Event Types").
EventType older_type(EventType type) {
  constexpr std::pair<EventType, EventType> successors[] = {
      {EventType::EV_POST_CODE2, EventType::EV_POST_CODE},
      {EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2, EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB},
      {EventType::EV_EFI_HANDOFF_TABLES2, EventType::EV_EFI_HANDOFF_TABLES},
      {EventType::EV_EFI_VARIABLE_BOOT2, EventType::EV_EFI_VARIABLE_BOOT},
      {EventType::EV_EFI_GPT_EVENT2, EventType::EV_EFI_GPT_EVENT},
  };
  for (const auto& [newer, older] : successors)
    if (newer == type) return older;
  return type;
}

/// Past the block that starts at `at`.
std::size_t block_end(const Expected& expected, std::size_t at) {
  std::size_t end = at;
  while (end < expected.size() && expected[end]->optional_block == expected[at]->optional_block) ++end;
  return end;
}

/// How many whole copies of expected[at, end) stand in the log from `from`.
std::uint32_t count_copies(const Expected& expected, std::size_t at, std::size_t end, const Observed& observed,
                           std::size_t from) {
  std::uint32_t copies = 0;
  while (copies < max_block_repeats) {
    for (std::size_t i = at; i < end; ++i) {
      const std::size_t place = from + copies * (end - at) + (i - at);
      if (place >= observed.size() || !matches(*expected[i], *observed[place])) return copies;
    }
    ++copies;
  }
  return copies;
}

/// Resolves the optional blocks: what remains is a plain list that the log must equal.
Expected choose_path(const Expected& expected, const Observed& observed, Alignment& out) {
  Expected path;
  for (std::size_t i = 0; i < expected.size();) {
    if (expected[i]->optional_block.empty()) {
      path.push_back(expected[i++]);
      continue;
    }
    const std::size_t end = block_end(expected, i);
    const auto copies = count_copies(expected, i, end, observed, path.size());
    for (std::uint32_t copy = 0; copy < copies; ++copy)
      path.insert(path.end(), expected.begin() + static_cast<std::ptrdiff_t>(i),
                  expected.begin() + static_cast<std::ptrdiff_t>(end));
    if (copies != 0) out.taken.emplace_back(expected[i]->optional_block, copies);
    i = end;
  }
  return path;
}

/// Is the first difference a changed event, one too many, or one too few? It is whichever lets the lists meet again.
FindingKind classify(const Expected& path, const Observed& observed, std::size_t at) {
  if (at >= path.size()) return FindingKind::event_unexpected;
  if (at >= observed.size()) return FindingKind::event_missing;
  const bool both_end = at + 1 == path.size() && at + 1 == observed.size();
  const bool next_match = at + 1 < path.size() && at + 1 < observed.size() && matches(*path[at + 1], *observed[at + 1]);
  if (both_end || next_match) return FindingKind::event_differs;
  const auto from = static_cast<std::ptrdiff_t>(at);
  if (std::any_of(observed.begin() + from, observed.end(),
                  [&](const Event* event) { return matches(*path[at], *event); }))
    return FindingKind::event_unexpected;
  if (std::any_of(path.begin() + from, path.end(),
                  [&](const ExpectedEvent* event) { return matches(*event, *observed[at]); }))
    return FindingKind::event_missing;
  return FindingKind::event_differs;
}

std::optional<Difference> first_difference(const Expected& path, const Observed& observed) {
  std::size_t at = 0;
  while (at < path.size() && at < observed.size() && matches(*path[at], *observed[at])) ++at;
  if (at == path.size() && at == observed.size()) return std::nullopt;
  Difference difference;
  difference.kind = classify(path, observed, at);
  if (difference.kind != FindingKind::event_unexpected) difference.expected = path[at];
  if (difference.kind != FindingKind::event_missing) difference.observed = observed[at];
  // Lists of one length lie side by side, so that further differences can be named too.
  if (path.size() == observed.size() && difference.kind == FindingKind::event_differs)
    for (std::size_t i = at + 1; i < path.size(); ++i)
      if (!matches(*path[i], *observed[i])) difference.also.push_back(path[i]->cause);
  return difference;
}

}  // namespace

bool same_digests(const Digests& expected, const Digests& observed) {
  bool common = false;
  for (const auto alg : predicted_banks) {
    const auto left = expected.find(alg);
    const auto right = observed.find(alg);
    if (left == expected.end() || right == observed.end()) continue;
    if (left->second != right->second) return false;
    common = true;
  }
  return common;
}

bool matches(const ExpectedEvent& expected, const Event& observed) {
  if (same_digests(expected.digests, observed.digests)) return true;
  for (const auto& digests : expected.alternatives)
    if (same_digests(digests, observed.digests)) return true;
  return std::visit([&](const auto& meaning) { return means(meaning, observed); }, expected.meaning);
}

const Digests& digests_of(const Alignment::Step& step) {
  return step.taken == nullptr ? step.expected->digests : step.taken->digests;
}

Alignment align(const Expected& expected, const Observed& observed) {
  Alignment out;
  const auto path = choose_path(expected, observed, out);
  out.difference = first_difference(path, observed);
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool matched = i < observed.size() && matches(*path[i], *observed[i]);
    const bool exactly = matched && same_digests(path[i]->digests, observed[i]->digests);
    out.path.push_back({path[i], matched && !exactly ? observed[i] : nullptr});
    if (matched && older_type(path[i]->type) != older_type(observed[i]->type))
      out.relabelled.emplace_back(path[i], observed[i]);
  }
  return out;
}

std::vector<Pair> side_by_side(const Alignment& alignment, const Observed& observed) {
  constexpr std::size_t window = 64;
  const auto& path = alignment.path;
  std::vector<Pair> pairs;
  std::size_t i = 0, j = 0;
  const auto meet_at = [&](std::size_t skip_expected, std::size_t skip_observed) {
    return i + skip_expected < path.size() && j + skip_observed < observed.size() &&
           matches(*path[i + skip_expected].expected, *observed[j + skip_observed]);
  };
  while (i < path.size() || j < observed.size()) {
    // The nearest place where the lists meet again; none: they part for good.
    std::size_t skip_expected = path.size() - i, skip_observed = observed.size() - j;
    bool found = false;
    for (std::size_t distance = 0; !found && distance <= window; ++distance)
      for (std::size_t skip = 0; !found && skip <= distance; ++skip)
        if ((found = meet_at(skip, distance - skip))) skip_expected = skip, skip_observed = distance - skip;
    for (std::size_t k = 0; k < std::max(skip_expected, skip_observed); ++k)
      pairs.push_back(
          {k < skip_expected ? path[i + k].expected : nullptr, k < skip_observed ? observed[j + k] : nullptr});
    i += skip_expected, j += skip_observed;
    if (found) pairs.push_back({path[i++].expected, observed[j++]});
  }
  return pairs;
}

}  // namespace ingot::check
