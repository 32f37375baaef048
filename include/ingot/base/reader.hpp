// One bounds-checked cursor over untrusted bytes. A failed read yields 0 or empty and sticks, so decoders
// read straight down and end in finish(), which tells truncated input from trailing bytes.
#pragma once

#include <cstddef>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot {

class Reader {
 public:
  explicit Reader(Bytes data) : data_(data) {}

  std::uint8_t u8();
  std::uint16_t u16le();
  std::uint32_t u32le();
  std::uint64_t u64le();
  std::uint16_t u16be();
  std::uint32_t u32be();
  std::uint64_t u64be();
  /// A view of the next `count` bytes; empty when fewer are left.
  Bytes bytes(std::uint64_t count);
  Bytes rest();
  void skip(std::uint64_t count) { (void)bytes(count); }
  /// A cursor over the next `count` bytes only; its own overflow does not touch this one.
  Reader sub(std::uint64_t count) { return Reader(bytes(count)); }

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return data_.size() - at_; }
  /// Marks the input as malformed at the current position; the first failure wins.
  void fail_with(std::string message);
  /// The error of a failed cursor.
  [[nodiscard]] Error error() const;

  /// `value` when everything was read and nothing is left over.
  template <typename T>
  Result<T> finish(T value) const {
    if (!failed_ && left() == 0) return value;
    return fail(failed_ ? error() : trailing());
  }
  /// `value` when everything was read; bytes may follow.
  template <typename T>
  Result<T> finish_prefix(T value) const {
    if (!failed_) return value;
    return fail(error());
  }

 private:
  [[nodiscard]] Error trailing() const;
  template <typename T>
  T little();
  template <typename T>
  T big();

  Bytes data_;
  std::size_t at_ = 0;
  bool failed_ = false;
  std::size_t failed_at_ = 0;
  std::uint64_t wanted_ = 0;
  std::string message_;
};

}  // namespace ingot
