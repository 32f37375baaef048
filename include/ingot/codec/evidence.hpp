#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::codec {

inline constexpr std::uint64_t evidence_size_cap_bytes = 64u << 20;

std::string encode_evidence(const Evidence& evidence);
Result<Evidence> decode_evidence(Bytes json);

}  // namespace ingot::codec
