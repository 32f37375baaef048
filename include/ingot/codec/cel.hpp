// TCG Canonical Event Log Format 1.0 (revision 0.41): one form for firmware, IMA and systemd records. CEL-TLV is
// big-endian; CEL-JSON is an array of records as `systemd-pcrlock cel` prints it, or a JSON text sequence (RFC 7464) as
// systemd logs it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "ingot/codec/event_log.hpp"
#include "ingot/codec/ima.hpp"

namespace ingot::codec {

/// Content type "pcclient_std".
struct CelPcClient {
  EventType type{};
  Buffer data;
  bool operator==(const CelPcClient&) const = default;
};
/// Content type "ima_template".
struct CelImaTemplate {
  std::string name;  ///< "ima-ng"
  Buffer data;       ///< template data, as ImaEntry has it
  bool operator==(const CelImaTemplate&) const = default;
};
/// Content type "systemd": what the record says it measured.
struct CelSystemd {
  std::string text;
  bool operator==(const CelSystemd&) const = default;
};
/// A content type that extends nothing we judge; kept as it came, so that an import can be exported again.
struct CelOther {
  std::string type;  ///< JSON: the "content_type"; TLV: the type's number in decimal
  Buffer raw;        ///< JSON: the "content" as a canonical text; TLV: the value
  bool operator==(const CelOther&) const = default;
};

struct CelRecord {
  std::uint64_t number = 0;
  PcrIndex pcr = 0;
  Digests digests;
  std::variant<CelPcClient, CelImaTemplate, CelSystemd, CelOther> content;
  bool operator==(const CelRecord&) const = default;
};

inline constexpr std::size_t cel_record_cap = 1u << 20;

/// Errors (malformed): truncation, a field twice or missing, numbers that do not fit, digests of wrong sizes. Records
/// about NV indexes instead of PCRs are left out.
Result<std::vector<CelRecord>> decode_cel_tlv(Bytes log);
Buffer encode_cel_tlv(const std::vector<CelRecord>& records);

/// A JSON array, or a JSON text sequence; told apart by the first byte.
Result<std::vector<CelRecord>> decode_cel_json(Bytes text);
/// A JSON array. Integers and hexadecimal as systemd-pcrlock writes them.
std::string encode_cel_json(const std::vector<CelRecord>& records);

/// The records of a boot in the order in which they extended each PCR: firmware, userspace, IMA; numbered from 0.
/// EV_NO_ACTION events extend nothing and become records without digests' effect all the same, for they hold the
/// startup locality; those of no PCR at all (index 0xFFFFFFFF, say) are left out.
std::vector<CelRecord> cel_records(const EventLog& firmware, const std::vector<Event>& userspace,
                                   const std::vector<ImaEntry>& ima);
/// The parts of a log again. IMA entries get their template hash from the SHA-1 digest where the record has one.
struct CelParts {
  std::vector<Event> firmware;
  std::vector<Event> userspace;
  std::vector<ImaEntry> ima;
};
Result<CelParts> split_cel(const std::vector<CelRecord>& records);

}  // namespace ingot::codec
