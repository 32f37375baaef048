#include "ingot/base/reader.hpp"

#include <fmt/format.h>

namespace ingot {

template <typename T>
T Reader::little() {
  const Bytes raw = bytes(sizeof(T));
  T value = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) value = static_cast<T>(value | static_cast<T>(raw[i]) << (8 * i));
  return value;
}

template <typename T>
T Reader::big() {
  T value = 0;
  for (const auto byte : bytes(sizeof(T))) value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | byte);
  return value;
}

std::uint8_t Reader::u8() { return little<std::uint8_t>(); }
std::uint16_t Reader::u16le() { return little<std::uint16_t>(); }
std::uint32_t Reader::u32le() { return little<std::uint32_t>(); }
std::uint64_t Reader::u64le() { return little<std::uint64_t>(); }
std::uint16_t Reader::u16be() { return big<std::uint16_t>(); }
std::uint32_t Reader::u32be() { return big<std::uint32_t>(); }
std::uint64_t Reader::u64be() { return big<std::uint64_t>(); }

Bytes Reader::bytes(std::uint64_t count) {
  if (failed_) return {};
  if (count > left()) {
    failed_ = true;
    failed_at_ = at_;
    wanted_ = count;
    return {};
  }
  const Bytes view = data_.subspan(at_, static_cast<std::size_t>(count));
  at_ += static_cast<std::size_t>(count);
  return view;
}

Bytes Reader::rest() { return bytes(left()); }

void Reader::fail_with(std::string message) {
  if (failed_) return;
  failed_ = true;
  failed_at_ = at_;
  message_ = std::move(message);
}

Error Reader::error() const {
  Error error{ErrorCode::malformed, message_, {}, failed_at_, std::nullopt};
  if (message_.empty())
    error.message = fmt::format("truncated: {} bytes wanted, {} left", wanted_, data_.size() - failed_at_);
  return error;
}

Error Reader::trailing() const {
  return Error{ErrorCode::malformed, fmt::format("{} trailing bytes after the end", left()), {}, at_, std::nullopt};
}

}  // namespace ingot
