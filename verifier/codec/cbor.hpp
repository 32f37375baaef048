// CBOR (RFC 8949), writing only, in the deterministic form: shortest heads, definite lengths. Internal to codec/.
#pragma once

#include <string_view>

#include "ingot/base/writer.hpp"

namespace ingot::codec {

class CborWriter {
 public:
  CborWriter& unsigned_integer(std::uint64_t value) { return head(0, value); }
  CborWriter& bytes(Bytes value) {
    head(2, value.size());
    out_.bytes(value);
    return *this;
  }
  CborWriter& text(std::string_view value) {
    head(3, value.size());
    out_.text(value);
    return *this;
  }
  /// The items follow.
  CborWriter& array(std::uint64_t count) { return head(4, count); }
  /// The pairs follow, keys ascending in their encoding.
  CborWriter& map(std::uint64_t count) { return head(5, count); }
  /// The tagged item follows.
  CborWriter& tag(std::uint64_t number) { return head(6, number); }
  Buffer take() { return out_.take(); }

 private:
  CborWriter& head(std::uint8_t major, std::uint64_t value) {
    const auto initial = [&](std::uint8_t additional) { out_.u8(static_cast<std::uint8_t>(major << 5 | additional)); };
    if (value < 24)
      initial(static_cast<std::uint8_t>(value));
    else if (value <= 0xFF)
      initial(24), out_.u8(static_cast<std::uint8_t>(value));
    else if (value <= 0xFFFF)
      initial(25), out_.u16be(static_cast<std::uint16_t>(value));
    else if (value <= 0xFFFFFFFF)
      initial(26), out_.u32be(static_cast<std::uint32_t>(value));
    else
      initial(27), out_.u64be(value);
    return *this;
  }
  Writer out_;
};

}  // namespace ingot::codec
