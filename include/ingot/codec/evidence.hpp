// The evidence file "ingot-evidence/1". Every field: verifier/codec/evidence.md.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::codec {

inline constexpr std::uint64_t evidence_size_cap_bytes = 64u << 20;

std::string encode_evidence(const Evidence& evidence);
Result<Evidence> decode_evidence(Bytes json);

/// The qualifying data of the quote (32 bytes): SHA-256 over "ingot-quote/1" NUL, nonce, node id and channel binding
/// (each behind its length, u32 big-endian), the SHA-256 of the event log, the userspace log and the IMA list, and,
/// when there is a report, report_digest(). So a quote says whose evidence it is, for which question, through which
/// connection, and which logs and report go with it.
Buffer quote_binding(const Evidence& evidence);
/// The same when the SHA-256 of the logs are known.
struct LogDigests {
  Digest event_log, userspace_log, ima_log;
};
Buffer quote_binding(const Evidence& evidence, const LogDigests& logs);

/// PCRs that a quote must cover, in each active bank of predicted_banks: 0 to 15.
inline constexpr PcrIndex quoted_pcr_count = 16;

}  // namespace ingot::codec
