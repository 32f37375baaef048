// The encoder half of Reader.
#pragma once

#include <cstddef>

#include "ingot/base/bytes.hpp"

namespace ingot {

class Writer {
 public:
  Writer& u8(std::uint8_t value);
  Writer& u16le(std::uint16_t value);
  Writer& u32le(std::uint32_t value);
  Writer& u64le(std::uint64_t value);
  Writer& u16be(std::uint16_t value);
  Writer& u32be(std::uint32_t value);
  Writer& u64be(std::uint64_t value);
  Writer& bytes(Bytes value);
  Writer& text(std::string_view value) { return bytes(as_bytes(value)); }
  Writer& fill(std::size_t count, std::uint8_t value = 0);
  /// Appends `fill_value` up to the next multiple of `alignment` (a power of two).
  Writer& align(std::size_t alignment, std::uint8_t fill_value = 0);
  /// Overwrites earlier bytes, for lengths known only afterwards. Precondition: at + 4 <= size().
  void put_u32le(std::size_t at, std::uint32_t value);
  void put_u16be(std::size_t at, std::uint16_t value);

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] const Buffer& view() const { return out_; }
  Buffer take() { return std::move(out_); }

 private:
  Buffer out_;
};

}  // namespace ingot
