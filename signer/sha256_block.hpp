// SHA-256 of short messages, one block at a time. Internal to signer/. At such sizes OpenSSL's EVP takes twice the time
// of the hash, and more.
#pragma once

#include <openssl/sha.h>

#include <array>

#include "ingot/base/bytes.hpp"

namespace ingot::signer {

/// The hash after some whole blocks; after none at first. Wiped in the end.
class Sha256State {
 public:
  Sha256State();
  Sha256State(const Sha256State&) = default;
  Sha256State& operator=(const Sha256State&) = default;
  ~Sha256State();

  /// Precondition: SHA256_CBLOCK bytes.
  void add(Bytes block);
  /// Precondition: room for SHA256_DIGEST_LENGTH bytes.
  void put(MutableBytes digest) const;

 private:
  SHA256_CTX state_{};
};

/// The last block of a message: a digest, something before it, and padding (FIPS 180-4, "Padding the Message"). Wiped
/// in the end.
class Sha256LastBlock {
 public:
  /// The message is `before_bytes` in blocks of their own, then `start`, then the digest. Precondition: `start` is 23
  /// bytes at most, all of it 8191.
  Sha256LastBlock(std::size_t before_bytes, Bytes start);
  Sha256LastBlock(const Sha256LastBlock&) = delete;
  Sha256LastBlock& operator=(const Sha256LastBlock&) = delete;
  ~Sha256LastBlock();

  MutableBytes digest() { return MutableBytes(block_).subspan(digest_at_, SHA256_DIGEST_LENGTH); }
  /// XOR into the digest. Precondition: SHA256_DIGEST_LENGTH bytes at least.
  void add(Bytes digest);
  /// The hash of the message whose blocks before this one came to `before`. It may go where digest() is.
  void hash(const Sha256State& before, MutableBytes into) {
    work_ = before;
    work_.add(block_);
    work_.put(into);
  }

 private:
  std::array<std::uint8_t, SHA256_CBLOCK> block_{};
  std::size_t digest_at_;
  Sha256State work_;  ///< kept, for to wipe one after each hash takes as long as the hash
};

}  // namespace ingot::signer
