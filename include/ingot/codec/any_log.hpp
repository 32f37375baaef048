// Measurement logs of any format, told apart by their first bytes.
#pragma once

#include "ingot/codec/cel.hpp"

namespace ingot::codec {

enum class AnyLogFormat { crypto_agile, sha1, cel_tlv, cel_json, systemd, ima_binary, ima_ascii, evidence };
std::string to_text(AnyLogFormat format);  ///< "crypto-agile", "cel-tlv", ...

/// The logs of one boot, or some of them.
struct AnyLog {
  AnyLogFormat format = AnyLogFormat::crypto_agile;
  std::optional<EventLog> firmware;
  std::vector<Event> userspace;
  std::vector<ImaEntry> ima;
};

/// Firmware's logs (both formats), CEL (TLV and JSON), systemd's userspace log, IMA lists (binary and ASCII), and all
/// that an evidence file holds. Errors as those of each decoder; text that is no log at all is `malformed`, too.
Result<AnyLog> decode_any_log(Bytes bytes);

/// Adds another log of the same boot. Error (usage): a second log of one kind.
Result<void> join_log(AnyLog& log, AnyLog other);

/// All PCRs that the logs extend, in each bank for which every event of them has a digest.
PcrValues replay(const AnyLog& log);

}  // namespace ingot::codec
