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

/// The fixed part of TCG_EfiSpecIDEvent ("Specification ID Version Event").
struct SpecId {
  std::uint32_t platform_class = 0;
  std::uint8_t minor = 0;
  std::uint8_t major = 2;
  std::uint8_t errata = 0;
  std::uint8_t uintn_size = 2;
  Buffer vendor_info;  ///< at most 255 bytes
  bool operator==(const SpecId&) const = default;
};

/// A decoded log whose digests nobody has checked yet.
struct EventLog {
  LogFormat format = LogFormat::crypto_agile;
  SpecId spec;                            ///< of the crypto-agile header; the header is not one of `events`
  std::vector<AlgorithmSize> algorithms;  ///< in the header's order, which is the order of each event's digests
  /// PCR 0 starts as 00..00<locality>; 0 when the log has no such event. Derived from `events`.
  std::uint8_t startup_locality = 0;
  std::vector<Event> events;  ///< in log order, the EV_NO_ACTION ones included (they extend nothing)
  bool operator==(const EventLog&) const = default;
};

inline constexpr std::size_t event_count_cap = 65536;
inline constexpr std::size_t log_algorithm_cap = 16;

/// Errors (malformed): truncated or trailing bytes, digests other than the header's algorithms, an algorithm twice or
/// of a wrong size, a PCR index past 23 on an event that extends, more than one StartupLocality or one that comes too
/// late.
Result<EventLog> decode_event_log(Bytes log);
/// Precondition: each event has a digest of the right size for each of `algorithms`.
Buffer encode_event_log(const EventLog& log);

/// The header's algorithms as an event builder needs them: sizes filled in.
std::vector<AlgorithmSize> algorithm_sizes(std::span<const HashAlg> algs);

/// Values after extending every event from the start values, for each algorithm of the log that is known to us, all
/// PCRs that occur in it.
PcrValues replay(const EventLog& log);
/// PCR 17 to 22 belong to a dynamic launch (D-RTM): all ones until one takes place, zeroes when it starts. PC Client
/// Platform TPM Profile 1.05, "PCR Attributes".
constexpr bool is_dynamic_pcr(PcrIndex pcr) { return pcr >= 17 && pcr <= 22; }

/// What a PCR holds before its first event: zeroes; PCR 0 ends in the startup locality; ones in those of a D-RTM.
Buffer pcr_start_value(HashAlg alg, PcrIndex pcr, std::uint8_t startup_locality);
/// PCR := H(PCR || digest). Precondition: sizes fit `alg`; both at most 64 bytes.
Digest extend(HashAlg alg, Bytes pcr, Bytes digest);
/// Extends one bank's PCR by one digest; it starts from zeroes when it is not there yet, those of a D-RTM, too: an
/// event in one of them is behind the launch.
void extend_into(PcrBank& bank, HashAlg alg, PcrIndex pcr, Bytes digest);

/// systemd's /run/log/systemd/tpm2-measure.log (RFC 7464 JSON text sequence; records follow TCG CEL-JSON). The records
/// carry no TCG event type: they get EV_IPL, as the stub's events of the same PCRs have. `data` is the record's text
/// ("enter-initrd"), which for phases is what was hashed. Records about NV indexes instead of PCRs are left out.
Result<std::vector<Event>> decode_userspace_log(Bytes json_seq);
/// The same in systemd's form, for tests and simulators.
Buffer encode_userspace_log(const std::vector<Event>& events);

}  // namespace ingot::codec
