#include "learned.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "align.hpp"
#include "ingot/codec/event_data.hpp"

namespace ingot::check {
namespace {

bool has_digests(const ExpectedEvent& event, const Digests& digests) {
  return same_digests(event.digests, digests) ||
         std::any_of(event.alternatives.begin(), event.alternatives.end(),
                     [&](const Digests& one) { return same_digests(one, digests); });
}

std::optional<Buffer> boot_device_path(const LearnedEvent& event) {
  if (event.expected.type != EventType::EV_EFI_VARIABLE_BOOT && event.expected.type != EventType::EV_EFI_VARIABLE_BOOT2)
    return std::nullopt;
  const auto variable = codec::decode_measured_variable(event.data);
  if (!variable || !codec::is_boot_entry(variable->name)) return std::nullopt;
  const Event measured{event.expected.pcr, event.expected.type, event.expected.digests, event.data};
  if (!codec::is_digest_of(measured, event.data) && !codec::is_digest_of(measured, variable->data)) return std::nullopt;
  auto option = codec::decode_load_option(variable->data);
  if (!option) return std::nullopt;
  return std::move(option->device_path);
}

/// How well two events stand for each other: 0 not at all.
int likeness(const LearnedEvent& one, const LearnedEvent& other) {
  if (one.expected.pcr != other.expected.pcr) return 0;
  if (has_digests(one.expected, other.expected.digests)) return 3;
  const auto path = boot_device_path(one);
  if (path && path == boot_device_path(other)) return 2;
  return one.expected.type == other.expected.type && one.expected.cause == other.expected.cause ? 1 : 0;
}

void widen(LearnedEvent& one, const LearnedEvent& other) {
  if (has_digests(one.expected, other.expected.digests)) return;
  const auto path = boot_device_path(one);
  if (path && path == boot_device_path(other))
    one.expected.meaning = BootEntryMeaning{*path};
  else
    one.expected.alternatives.push_back(other.expected.digests);
}

void make_optional(LearnedEvent& event, std::size_t number) {
  if (event.expected.optional_block.empty())
    event.expected.optional_block = fmt::format("{}, on some machines ({})", event.expected.cause, number);
}

/// score[i][j]: the best that first[i..] and second[j..] can be laid side by side in order.
std::vector<std::vector<int>> scores(const std::vector<LearnedEvent>& first, const std::vector<LearnedEvent>& second) {
  std::vector<std::vector<int>> score(first.size() + 1, std::vector<int>(second.size() + 1, 0));
  for (std::size_t i = first.size(); i-- > 0;)
    for (std::size_t j = second.size(); j-- > 0;) {
      const int like = likeness(first[i], second[j]);
      score[i][j] = std::max({score[i + 1][j], score[i][j + 1], like == 0 ? 0 : score[i + 1][j + 1] + like});
    }
  return score;
}

}  // namespace

bool varies(const ExpectedEvent& event) { return !event.is_exact() || !event.optional_block.empty(); }

Result<void> merge_machine(LearnedMachine& all, LearnedMachine machine) {
  if (all.startup_locality != machine.startup_locality)
    return fail(ErrorCode::unsupported, "its PCR 0 starts from another locality: it is of another machine class");
  const auto score = scores(all.events, machine.events);
  std::vector<LearnedEvent> merged;
  std::size_t i = 0, j = 0;
  while (i < all.events.size() || j < machine.events.size()) {
    const bool both = i < all.events.size() && j < machine.events.size();
    const int like = both ? likeness(all.events[i], machine.events[j]) : 0;
    if (like != 0 && score[i][j] == score[i + 1][j + 1] + like) {
      widen(all.events[i], machine.events[j++]);
      merged.push_back(std::move(all.events[i++]));
      continue;
    }
    const bool from_all = j == machine.events.size() || (both && score[i][j] == score[i + 1][j]);
    auto& event = from_all ? all.events[i++] : machine.events[j++];
    make_optional(event, merged.size());
    merged.push_back(std::move(event));
  }
  all.events = std::move(merged);
  return {};
}

}  // namespace ingot::check
