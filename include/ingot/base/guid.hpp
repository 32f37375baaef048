// EFI_GUID (UEFI 2.10, "Appendix A"): first three fields little-endian in bytes, big-endian in text.
#pragma once

#include <array>
#include <compare>

#include "ingot/base/bytes.hpp"

namespace ingot {

struct Guid {
  std::array<std::uint8_t, 16> bytes{};  ///< as stored on disk and in memory (mixed-endian)
  auto operator<=>(const Guid&) const = default;
};

/// "8be4df61-93ca-11d2-aa0d-00e098032b8c", lower case.
std::string to_text(const Guid& guid);
std::optional<Guid> parse_guid(std::string_view text);
/// 16 bytes as stored. Precondition: bytes.size() == 16.
Guid guid_from(Bytes bytes);
/// RFC 9562 version 8 UUID (custom) whose text form is made of the first 16 bytes of `digest`, version and
/// variant bits set. Used for every UUID that a build derives from its own inputs. Precondition: >= 16 bytes.
Guid derive_guid(Bytes digest);
/// A GUID whose text form is these 16 bytes in order, no bits changed. Precondition: exactly 16 bytes.
Guid guid_from_big_endian(Bytes bytes);
/// The 16 bytes in the order in which the text shows them.
std::array<std::uint8_t, 16> big_endian(const Guid& guid);

constexpr std::uint8_t hex_digit(char c) {
  return static_cast<std::uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}
/// A GUID from its text form at compile time. Precondition: 36 characters 8-4-4-4-12.
consteval Guid make_guid(const char (&text)[37]) {
  constexpr int order[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
  Guid guid;
  for (int i = 0; i < 16; ++i)
    guid.bytes[static_cast<std::size_t>(i)] =
        static_cast<std::uint8_t>(hex_digit(text[order[i]]) << 4 | hex_digit(text[order[i] + 1]));
  return guid;
}

}  // namespace ingot
