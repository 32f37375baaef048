#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_Transform(): EVP has none
#include "sha256_block.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ingot::signer {

Sha256State::Sha256State() {
  if (SHA256_Init(&state_) != 1) std::abort();
}

Sha256State::~Sha256State() { OPENSSL_cleanse(&state_, sizeof state_); }

void Sha256State::add(Bytes block) { SHA256_Transform(&state_, block.data()); }

void Sha256State::put(MutableBytes digest) const {
  auto* at = digest.data();
  for (const auto word : state_.h) {  // four stores, which gcc makes one of
    at[0] = static_cast<std::uint8_t>(word >> 24);
    at[1] = static_cast<std::uint8_t>(word >> 16 & 0xFF);
    at[2] = static_cast<std::uint8_t>(word >> 8 & 0xFF);
    at[3] = static_cast<std::uint8_t>(word & 0xFF);
    at += 4;
  }
}

Sha256LastBlock::Sha256LastBlock(std::size_t before_bytes, Bytes start) : digest_at_(start.size()) {
  std::copy(start.begin(), start.end(), block_.begin());
  const std::size_t end = digest_at_ + SHA256_DIGEST_LENGTH;
  block_[end] = 0x80;
  const std::size_t bits = (before_bytes + end) * 8;
  block_[block_.size() - 2] = static_cast<std::uint8_t>(bits >> 8);
  block_[block_.size() - 1] = static_cast<std::uint8_t>(bits & 0xFF);
}

void Sha256LastBlock::add(Bytes digest) {
  // By words: gcc -O2 goes byte by byte otherwise.
  std::array<std::uint64_t, SHA256_DIGEST_LENGTH / sizeof(std::uint64_t)> sum, other;
  std::memcpy(sum.data(), this->digest().data(), sizeof sum);
  std::memcpy(other.data(), digest.data(), sizeof other);
  for (std::size_t at = 0; at < sum.size(); ++at) sum[at] ^= other[at];
  std::memcpy(this->digest().data(), sum.data(), sizeof sum);
}

Sha256LastBlock::~Sha256LastBlock() { OPENSSL_cleanse(block_.data(), block_.size()); }

}  // namespace ingot::signer
