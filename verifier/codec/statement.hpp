// in-toto attestation framework v1, "Statement". Internal to codec/.
#pragma once

#include "json.hpp"

namespace ingot::codec {

std::string encode_statement(std::string_view name, const json::Value& digest, const char* type, json::Value predicate);
/// The predicate of a statement of that type.
Result<json::Value> decode_statement(Bytes text, const char* type);

}  // namespace ingot::codec
