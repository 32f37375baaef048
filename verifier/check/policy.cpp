#include "policy.hpp"

#include <algorithm>

#include "align.hpp"
#include "ingot/codec/event_log.hpp"

namespace ingot::check {
std::optional<Digest> replay_path(HashAlg bank, PcrIndex pcr, std::uint8_t locality,
                                  const std::vector<const Digests*>& path) {
  Digest value = codec::pcr_start_value(bank, pcr, locality);
  for (const auto* digests : path) {
    const auto digest = digests->find(bank);
    if (digest == digests->end() || digest->second.size() != value.size()) return std::nullopt;
    value = codec::extend(bank, value, digest->second);
  }
  return value;
}

Policy::Policy(const GoldenValues& golden) : golden_(golden) {
  if (golden.platform != nullptr)
    for (const auto& event : golden.platform->events)
      if (event.pcr < pcr_count) expected_.at(event.pcr).push_back(&event);
  for (const auto& event : golden.baseline->events) {
    if (event.pcr >= pcr_count) continue;
    auto& list = expected_.at(event.pcr);
    // An authority is measured once per boot (TCG PFP 1.06, "EV_EFI_VARIABLE_AUTHORITY"): firmware may have used the
    // same certificate for an option ROM already.
    const bool seen = event.type == EventType::EV_EFI_VARIABLE_AUTHORITY &&
                      std::any_of(list.begin(), list.end(),
                                  [&](const auto* one) { return same_digests(one->digests, event.digests); });
    if (!seen) list.push_back(&event);
  }
  for (const auto pcr : judged_pcrs) {
    std::vector<const Digests*> path;
    for (const auto* event : expected_.at(pcr))
      if (event->optional_block.empty()) path.push_back(&event->digests);
    for (const auto bank : predicted_banks)
      if (const auto value = replay_path(bank, pcr, startup_locality(), path))
        values_.emplace(std::pair(bank, pcr), *value);
  }
  if (golden.manifest == nullptr) return;
  files_.reserve(golden.manifest->size());
  for (const auto& file : *golden.manifest) {
    const auto digest = parse_hex(file.sha256);
    // No digest is of no bytes: a line that cannot be read matches nothing.
    files_.emplace(file.path, digest && digest->size() <= Digest::cap_bytes ? Digest(*digest) : Digest());
  }
}

std::optional<Digest> Policy::value(HashAlg bank, PcrIndex pcr) const {
  const auto found = values_.find({bank, pcr});
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

const Digest* Policy::file(std::string_view path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

}  // namespace ingot::check
