// Reading JSON documents (RFC 8259) strictly: every member that a format names is fetched with its type, errors name
// the member. Internal to codec/.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec::json {

using Value = nlohmann::json;

/// How deep our formats nest, and then some: a hostile document must not grow the parser's stack.
inline constexpr std::size_t depth_cap = 32;

/// A whole document. Error (malformed) with the byte where it breaks; member names that occur twice are refused.
Result<Value> parse(Bytes text);

/// The document as our files hold it: one member a line, what is no UTF-8 replaced, a line feed at the end.
std::string write(const Value& document);

Result<const Value*> member(const Value& object, const char* name);
/// Null when there is no such member.
const Value* find(const Value& object, const char* name);

Result<std::string> text(const Value& object, const char* name);
/// Empty when there is no such member.
Result<std::string> optional_text(const Value& object, const char* name);
Result<std::uint64_t> number(const Value& object, const char* name);
Result<const Value*> array(const Value& object, const char* name, std::size_t cap);
/// Base64; empty when there is no such member.
Result<Buffer> optional_base64(const Value& object, const char* name);
/// A hexadecimal text as bytes.
Result<Buffer> hex(const Value& value, std::string_view what);
/// Error for the first member that is none of `names`.
Result<void> only(const Value& object, std::initializer_list<std::string_view> names);

}  // namespace ingot::codec::json
