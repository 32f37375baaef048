#include "ingot/base/guid.hpp"

#include <algorithm>

namespace ingot {
namespace {

/// Position in storage of the n-th byte of the text form.
constexpr std::array<std::size_t, 16> storage_of_text = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

}  // namespace

std::array<std::uint8_t, 16> big_endian(const Guid& guid) {
  std::array<std::uint8_t, 16> out{};
  for (std::size_t i = 0; i < 16; ++i) out[i] = guid.bytes[storage_of_text[i]];
  return out;
}

Guid guid_from_big_endian(Bytes bytes) {
  Guid guid;
  for (std::size_t i = 0; i < 16; ++i) guid.bytes[storage_of_text[i]] = bytes[i];
  return guid;
}

std::string to_text(const Guid& guid) {
  std::string text = to_hex(big_endian(guid));
  for (const std::size_t at : {20u, 16u, 12u, 8u}) text.insert(at, 1, '-');
  return text;
}

std::optional<Guid> parse_guid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return std::nullopt;
    if (!dash) digits.push_back(text[i]);
  }
  const auto bytes = parse_hex(digits);
  if (!bytes) return std::nullopt;
  return guid_from_big_endian(*bytes);
}

Guid guid_from(Bytes bytes) {
  Guid guid;
  std::copy_n(bytes.begin(), 16, guid.bytes.begin());
  return guid;
}

Guid derive_guid(Bytes digest) {
  Buffer text_order(digest.begin(), digest.begin() + 16);
  text_order[6] = static_cast<std::uint8_t>((text_order[6] & 0x0F) | 0x80);
  text_order[8] = static_cast<std::uint8_t>((text_order[8] & 0x3F) | 0x80);
  return guid_from_big_endian(text_order);
}

}  // namespace ingot
