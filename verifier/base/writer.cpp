#include "ingot/base/writer.hpp"

namespace ingot {
namespace {

template <typename T>
void put_little(Buffer& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

template <typename T>
void put_big(Buffer& out, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

Writer& Writer::u8(std::uint8_t value) { return out_.push_back(value), *this; }
Writer& Writer::u16le(std::uint16_t value) { return put_little(out_, value), *this; }
Writer& Writer::u32le(std::uint32_t value) { return put_little(out_, value), *this; }
Writer& Writer::u64le(std::uint64_t value) { return put_little(out_, value), *this; }
Writer& Writer::u16be(std::uint16_t value) { return put_big(out_, value), *this; }
Writer& Writer::u32be(std::uint32_t value) { return put_big(out_, value), *this; }
Writer& Writer::u64be(std::uint64_t value) { return put_big(out_, value), *this; }

Writer& Writer::bytes(Bytes value) {
  out_.insert(out_.end(), value.begin(), value.end());
  return *this;
}

Writer& Writer::fill(std::size_t count, std::uint8_t value) {
  out_.insert(out_.end(), count, value);
  return *this;
}

Writer& Writer::align(std::size_t alignment, std::uint8_t fill_value) {
  return fill((alignment - out_.size() % alignment) % alignment, fill_value);
}

void Writer::put_u32le(std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out_[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

void Writer::put_u16be(std::size_t at, std::uint16_t value) {
  out_[at] = static_cast<std::uint8_t>(value >> 8);
  out_[at + 1] = static_cast<std::uint8_t>(value);
}

}  // namespace ingot
