// TCG event logs. TCG PC Client Platform Firmware Profile 1.06, "Event Logging"; the SHA-1-only format of
// TCG EFI Platform Specification 1.22, "TCG_PCR_EVENT".
#pragma once

#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/model/event.hpp"

namespace ingot::codec {

struct AlgorithmSize {
  HashAlg alg{};
  std::uint16_t size_bytes = 0;
  bool operator==(const AlgorithmSize&) const = default;
};
enum class LogFormat { crypto_agile, sha1 };

/// A decoded log whose digests nobody has checked yet.
struct EventLog {
  LogFormat format = LogFormat::crypto_agile;
  std::vector<AlgorithmSize> algorithms;
  std::uint8_t startup_locality = 0;  ///< PCR 0 starts as 00..00<locality>; 0 when the log has no such event
  std::vector<Event> events;          ///< in log order, the EV_NO_ACTION ones included (they extend nothing)
  bool operator==(const EventLog&) const = default;
};

inline constexpr std::size_t event_count_cap = 65536;
Result<EventLog> decode_event_log(Bytes log);
Buffer encode_event_log(const EventLog& log);

/// Values after extending every event from the start values, for each algorithm of the log, all of PCR 0..23
/// that occur in it.
PcrValues replay(const EventLog& log);
/// PCR := H(PCR || digest). Precondition: sizes fit `alg`.
Buffer extend(HashAlg alg, Bytes pcr, Bytes digest);

/// One record of systemd's /run/log/systemd/tpm2-measure.log (RFC 7464 JSON text sequence).
Result<std::vector<Event>> decode_userspace_log(Bytes json_seq);

}  // namespace ingot::codec
