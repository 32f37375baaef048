// Bytes that must not stay in memory.
#pragma once

#include "ingot/base/bytes.hpp"

namespace ingot::crypto {

/// Owns bytes and overwrites them before it gives their memory back. It cannot be copied; what others copy out of it is
/// theirs to wipe.
class Secret {
 public:
  Secret() = default;
  /// Takes the memory over. Precondition: the buffer did not grow while the secret was in it, for what it left behind
  /// is out of reach.
  explicit Secret(Buffer&& bytes) noexcept : bytes_(std::move(bytes)) {}
  static Secret copy_of(Bytes bytes) { return Secret(to_buffer(bytes)); }
  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) {}
  Secret& operator=(Secret&& other) noexcept {
    bytes_.swap(other.bytes_);  // the other's destructor wipes what was here
    return *this;
  }
  ~Secret();

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] Bytes view() const { return bytes_; }
  operator Bytes() const { return bytes_; }  // NOLINT: a secret is its bytes

 private:
  Buffer bytes_;
};

/// One after the other, in memory of their whole size from the start.
Secret concatenate(std::initializer_list<Bytes> parts);

/// RFC 4648 base64 with padding, as text.
Secret secret_base64(Bytes secret);

}  // namespace ingot::crypto
