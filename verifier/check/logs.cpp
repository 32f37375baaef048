#include "logs.hpp"

#include <algorithm>

namespace ingot::check {

Result<Logs> Logs::decode(const Evidence& evidence) {
  Logs logs;
  logs.has_firmware_log_ = !evidence.event_log.empty();
  if (logs.has_firmware_log_) logs.firmware_ = TRY_IN("event log", codec::decode_event_log(evidence.event_log));
  logs.userspace_ = TRY_IN("userspace log", codec::decode_userspace_log(evidence.userspace_log));
  return logs;
}

bool Logs::has_bank(HashAlg bank) const {
  return std::any_of(firmware_.algorithms.begin(), firmware_.algorithms.end(),
                     [&](const auto& one) { return one.alg == bank; });
}

std::vector<const Event*> Logs::events_of(PcrIndex pcr) const {
  std::vector<const Event*> events;
  for (const auto& event : firmware_.events)
    if (event.pcr == pcr && event.type != EventType::EV_NO_ACTION) events.push_back(&event);
  for (const auto& event : userspace_)
    if (event.pcr == pcr) events.push_back(&event);
  return events;
}

PcrBank Logs::replay(HashAlg bank) const {
  PcrBank values;
  for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr)
    values[pcr] = codec::pcr_start_value(bank, pcr, firmware_.startup_locality);
  const auto add = [&](const Event& event) {
    if (event.pcr >= pcr_count) return;
    const auto digest = event.digests.find(bank);
    if (digest != event.digests.end()) values[event.pcr] = codec::extend(bank, values[event.pcr], digest->second);
  };
  for (const auto& event : firmware_.events)
    if (event.type != EventType::EV_NO_ACTION) add(event);
  for (const auto& event : userspace_) add(event);
  return values;
}

}  // namespace ingot::check
