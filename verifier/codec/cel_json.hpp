// What CEL-JSON and systemd's userspace log have in common. Internal to codec/.
#pragma once

#include <vector>

#include "ingot/model/digest.hpp"
#include "json.hpp"

namespace ingot::codec {

inline constexpr std::uint8_t json_record_separator = 0x1E;  // RFC 7464, "RS"

/// The texts of a JSON text sequence (RFC 7464), each of them whole.
Result<std::vector<json::Value>> read_json_sequence(Bytes text, std::size_t record_cap);

/// A record's "digests", those of algorithms that we do not know left out.
Result<Digests> decode_cel_digests(const json::Value& record);
json::Value encode_cel_digests(const Digests& digests);

}  // namespace ingot::codec
