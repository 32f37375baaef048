#include "pbkdf2.hpp"

#include <algorithm>
#include <functional>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/kdf.hpp"
#include "sha256_block.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t hash_bytes = SHA256_DIGEST_LENGTH;

/// SHA-256 after the key and one of RFC 2104's two pads.
Sha256State after_key(Bytes key, std::uint8_t pad) {
  Buffer block(SHA256_CBLOCK, pad);
  std::transform(key.begin(), key.end(), block.begin(), block.begin(), std::bit_xor<>());
  const crypto::Secret secret(std::move(block));
  Sha256State state;
  state.add(secret);
  return state;
}

}  // namespace

crypto::Secret pbkdf2(Bytes password, Bytes salt, std::uint32_t iterations, std::size_t size_bytes) {
  // RFC 2104, "Definition of HMAC": a key that is longer than a block is hashed first.
  crypto::Secret hashed;
  if (password.size() > SHA256_CBLOCK) {
    hashed = crypto::Secret(crypto::Hasher(HashAlg::sha256).update(password).finish());
    password = hashed;
  }
  const auto inner_start = after_key(password, 0x36), outer_start = after_key(password, 0x5c);
  Sha256LastBlock inner(SHA256_CBLOCK, {}), outer(SHA256_CBLOCK, {});
  Buffer out(size_bytes);
  std::uint32_t number = 0;
  for (MutableBytes left(out); !left.empty();) {
    // 1. U_1 = PRF(P, S || INT(i)).
    const crypto::Secret first(crypto::hmac(HashAlg::sha256, password, Writer{}.bytes(salt).u32be(++number).take()));
    // 2. T_i = U_1 ^ ... ^ U_c, where U_j = PRF(P, U_(j-1)): two blocks of SHA-256.
    const MutableBytes sum = left.first(std::min(left.size(), hash_bytes));
    std::copy_n(first.view().begin(), sum.size(), sum.begin());
    std::ranges::copy(first.view(), inner.digest().begin());
    for (std::uint32_t round = 1; round < iterations; ++round) {
      inner.hash(inner_start, outer.digest());
      outer.hash(outer_start, inner.digest());
      std::transform(sum.begin(), sum.end(), inner.digest().begin(), sum.begin(), std::bit_xor<>());
    }
    left = left.subspan(sum.size());
  }
  return crypto::Secret(std::move(out));
}

}  // namespace ingot::signer
