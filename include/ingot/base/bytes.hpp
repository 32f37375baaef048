// Byte vocabulary: a view that never owns, a buffer that always does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;
using Buffer = std::vector<std::uint8_t>;

/// The bytes of a text, without a terminating NUL.
Bytes as_bytes(std::string_view text);
/// The bytes taken as text, unchecked.
std::string_view as_text(Bytes bytes);
Buffer to_buffer(Bytes bytes);

/// Lower-case hexadecimal, two digits a byte.
std::string to_hex(Bytes bytes);
/// Even number of hexadecimal digits of either case; nothing otherwise.
std::optional<Buffer> parse_hex(std::string_view text);

/// RFC 4648 base64 with padding, no line breaks.
std::string to_base64(Bytes bytes);
/// Strict RFC 4648 base64 with padding; nothing for any other text.
std::optional<Buffer> parse_base64(std::string_view text);

/// UTF-8 to UTF-16LE bytes, no terminator, no byte-order mark. Invalid UTF-8 becomes U+FFFD.
Buffer to_utf16le(std::string_view utf8);
/// UTF-16LE bytes to UTF-8; a lone surrogate or odd trailing byte becomes U+FFFD.
std::string from_utf16le(Bytes utf16);

}  // namespace ingot
