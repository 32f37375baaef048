// The Authenticode digest for those who read the whole file anyway, to copy it.
#pragma once

#include <vector>

#include "ingot/codec/pe.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::measure {

/// authenticode_digests() (measure/uki.hpp) of a file whose bytes pass by.
class AuthenticodeHasher {
 public:
  /// Error (malformed): SizeOfHeaders ends before the certificate table's directory entry.
  static Result<AuthenticodeHasher> create(const codec::Pe& pe, std::span<const HashAlg> algs);
  /// The file's next bytes, from its start on and without gaps. Everything may pass by, or a part, or nothing.
  void pass(Bytes bytes);
  /// Reads from `file` what has not passed by, or has passed by before its turn (see hashed_ranges()).
  Result<Digests> finish(const ByteSource& file);

  /// A part of the file that is hashed.
  struct Range {
    std::uint64_t offset;
    std::uint64_t size;
  };

 private:
  AuthenticodeHasher(const codec::Pe& pe, std::span<const HashAlg> algs);
  void feed(Bytes bytes);

  std::vector<HashAlg> algs_;
  std::vector<crypto::Hasher> hashers_;
  std::vector<Range> left_;    ///< still to be hashed, in reverse order: the next one is the last
  std::uint64_t passed_ = 0;   ///< bytes of the file that have passed by
  std::uint64_t padding_ = 0;  ///< zeros behind the file, which a signer appends
};

}  // namespace ingot::measure
