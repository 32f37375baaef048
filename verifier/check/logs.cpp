#include "logs.hpp"

#include <algorithm>

namespace ingot::check {

Result<Logs> Logs::decode(const Evidence& evidence) {
  Logs logs;
  logs.has_firmware_log_ = !evidence.event_log.empty();
  if (logs.has_firmware_log_) logs.firmware_ = TRY_IN("event log", codec::decode_event_log(evidence.event_log));
  logs.userspace_ = TRY_IN("userspace log", codec::decode_userspace_log(evidence.userspace_log));
  for (const auto& event : logs.firmware_.events)
    if (event.pcr < pcr_count && event.type != EventType::EV_NO_ACTION) logs.by_pcr_[event.pcr].push_back(&event);
  for (const auto& event : logs.userspace_)
    if (event.pcr < pcr_count) logs.by_pcr_[event.pcr].push_back(&event);
  return logs;
}

bool Logs::has_bank(HashAlg bank) const {
  return std::any_of(firmware_.algorithms.begin(), firmware_.algorithms.end(),
                     [&](const auto& one) { return one.alg == bank; });
}

std::array<Digest, pcr_count> Logs::replay(HashAlg bank) const {
  std::array<Digest, pcr_count> values;
  for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr) {
    values[pcr] = codec::pcr_start_value(bank, pcr, firmware_.startup_locality);
    for (const auto* event : by_pcr_[pcr]) {
      const auto digest = event->digests.find(bank);
      if (digest != event->digests.end()) values[pcr] = codec::extend(bank, values[pcr], digest->second);
    }
  }
  return values;
}

}  // namespace ingot::check
