// DER (ITU-T X.690) as far as signatures and certificates need it, without OpenSSL, whose decoders the agent does not
// carry.
#pragma once

#include "ingot/base/bytes.hpp"
#include "ingot/base/reader.hpp"

namespace ingot::codec {

inline constexpr std::uint8_t der_integer = 0x02;
inline constexpr std::uint8_t der_octet_string = 0x04;
inline constexpr std::uint8_t der_oid = 0x06;
inline constexpr std::uint8_t der_sequence = 0x30;
inline constexpr std::uint8_t der_set = 0x31;
inline constexpr std::uint8_t der_context_0 = 0xA0;  ///< [0], constructed
inline constexpr std::uint8_t der_context_1 = 0xA1;  ///< [1], constructed

/// Views into the bytes that were read.
struct DerElement {
  std::uint8_t tag = 0;
  Bytes whole;    ///< with tag and length
  Bytes content;  ///< without
};
/// The next element. A tag of several bytes, a length that is indefinite, of more than four bytes or not the shortest
/// form fails the cursor.
DerElement read_der(Reader& in);
/// The same; another tag than `tag` fails the cursor, too.
DerElement read_der(Reader& in, std::uint8_t tag);
/// Whether the next element has this tag; nothing is read.
bool next_der_is(const Reader& in, std::uint8_t tag);

/// Tag, shortest length, content.
Buffer encode_der(std::uint8_t tag, Bytes content);

}  // namespace ingot::codec
