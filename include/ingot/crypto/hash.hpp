// Digests over OpenSSL. Allocation failure and a missing algorithm end the process: there is no sane way on.
#pragma once

#include <memory>

#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::crypto {

class Hasher {
 public:
  explicit Hasher(HashAlg alg);
  /// Goes on from what the other has hashed so far.
  Hasher(const Hasher& other);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  Hasher& update(Bytes bytes);
  /// The digest; the hasher starts over.
  Buffer finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest hash(HashAlg alg, Bytes bytes);
inline Digest sha256(Bytes bytes) { return hash(HashAlg::sha256, bytes); }
/// Lower-case hexadecimal SHA-256.
std::string sha256_hex(Bytes bytes);
/// One digest per predicted bank.
Digests hash_banks(Bytes bytes);
Result<Buffer> hash_source(HashAlg alg, const ByteSource& source);

}  // namespace ingot::crypto
