#include "ingot/base/bytes.hpp"

#include <algorithm>
#include <array>

namespace ingot {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr char32_t replacement = 0xFFFD;

/// Decodes one code point at `at` and moves past it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<std::uint8_t>(text[at++]);
  if (lead < 0x80) return lead;
  const std::size_t extra = lead >= 0xF0 && lead < 0xF5   ? 3
                            : lead >= 0xE0 && lead < 0xF0 ? 2
                            : lead >= 0xC2 && lead < 0xE0 ? 1
                                                          : 0;
  if (extra == 0 || extra > text.size() - at) return replacement;
  char32_t code = lead & (0x3Fu >> extra);
  for (std::size_t i = 0; i < extra; ++i) {
    const auto next = static_cast<std::uint8_t>(text[at + i]);
    if ((next & 0xC0u) != 0x80u) return replacement;
    code = code << 6 | (next & 0x3Fu);
  }
  constexpr std::array<char32_t, 4> smallest = {0, 0x80, 0x800, 0x10000};
  if (code < smallest[extra] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return replacement;
  at += extra;
  return code;
}

void append_utf8(std::string& out, char32_t code) {
  const auto put = [&](char32_t value) { out.push_back(static_cast<char>(static_cast<std::uint8_t>(value))); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

}  // namespace

Bytes as_bytes(std::string_view text) {
  // char and unsigned char may alias any object; this is the one place where text becomes bytes.
  return {static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())), text.size()};
}

std::string_view as_text(Bytes bytes) {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

Buffer to_buffer(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::string to_hex(Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(bytes.size() * 2, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 0xF];
  }
  return out;
}

std::optional<Buffer> parse_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Buffer out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

std::string to_base64(Bytes bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16;
    if (count > 1) group |= static_cast<std::uint32_t>(bytes[i + 1]) << 8;
    if (count > 2) group |= bytes[i + 2];
    for (std::size_t j = 0; j < 4; ++j) out.push_back(j <= count ? base64_alphabet[group >> (18 - 6 * j) & 0x3F] : '=');
  }
  return out;
}

std::optional<Buffer> parse_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  static const auto values = [] {
    std::array<std::int8_t, 256> table;
    table.fill(-1);
    for (std::size_t i = 0; i < base64_alphabet.size(); ++i)
      table[static_cast<std::uint8_t>(base64_alphabet[i])] = static_cast<std::int8_t>(i);
    return table;
  }();
  Buffer out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const std::size_t padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2u : 1u) : 0u;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4 - padding; ++j) {
      const int value = values[static_cast<std::uint8_t>(text[i + j])];
      if (value < 0) return std::nullopt;
      group |= static_cast<std::uint32_t>(value) << (18 - 6 * j);
    }
    // Strict: the bits that padding leaves over are zero, so every buffer has one text only.
    if (padding != 0 && (group & ((1u << (8 * padding)) - 1)) != 0) return std::nullopt;
    for (std::size_t j = 0; j < 3 - padding; ++j) out.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * j)));
  }
  return out;
}

Buffer to_utf16le(std::string_view utf8) {
  Buffer out;
  out.reserve(utf8.size() * 2);
  const auto put = [&](char32_t unit) {
    out.push_back(static_cast<std::uint8_t>(unit));
    out.push_back(static_cast<std::uint8_t>(unit >> 8));
  };
  for (std::size_t at = 0; at < utf8.size();) {
    const char32_t code = next_code_point(utf8, at);
    if (code < 0x10000) {
      put(code);
    } else {
      put(0xD800 + ((code - 0x10000) >> 10));
      put(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return out;
}

std::string from_utf16le(Bytes utf16) {
  std::string out;
  const auto unit = [&](std::size_t at) { return static_cast<char32_t>(utf16[at] | utf16[at + 1] << 8); };
  std::size_t at = 0;
  while (utf16.size() - at >= 2) {
    const char32_t first = unit(at);
    at += 2;
    if (first < 0xD800 || first >= 0xE000) {
      append_utf8(out, first);
    } else if (first < 0xDC00 && utf16.size() - at >= 2 && unit(at) >= 0xDC00 && unit(at) < 0xE000) {
      append_utf8(out, 0x10000 + ((first - 0xD800) << 10) + (unit(at) - 0xDC00));
      at += 2;
    } else {
      append_utf8(out, replacement);
    }
  }
  if (at != utf16.size()) append_utf8(out, replacement);
  return out;
}

}  // namespace ingot
