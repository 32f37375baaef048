#include "ingot/crypto/hash.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace ingot::crypto {
namespace {

const EVP_MD* method(HashAlg alg) {
  switch (alg) {
    case HashAlg::sha1:
      return EVP_sha1();
    case HashAlg::sha256:
      return EVP_sha256();
    case HashAlg::sha384:
      return EVP_sha384();
    case HashAlg::sha512:
      return EVP_sha512();
    case HashAlg::sm3_256:
      return EVP_sm3();
  }
  return nullptr;
}

void require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

struct Hasher::State {
  explicit State(HashAlg alg) : md(method(alg)), context(EVP_MD_CTX_new()) {
    require(md != nullptr && context != nullptr && EVP_DigestInit_ex(context, md, nullptr) == 1);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
  const EVP_MD* md;
  EVP_MD_CTX* context;
};

Hasher::Hasher(HashAlg alg) : state_(std::make_unique<State>(alg)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher& Hasher::update(Bytes bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Buffer Hasher::finish() {
  Buffer digest(static_cast<std::size_t>(EVP_MD_get_size(state_->md)));
  require(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
  require(EVP_DigestInit_ex(state_->context, state_->md, nullptr) == 1);
  return digest;
}

Buffer hash(HashAlg alg, Bytes bytes) { return Hasher(alg).update(bytes).finish(); }

std::string sha256_hex(Bytes bytes) { return to_hex(sha256(bytes)); }

Digests hash_banks(Bytes bytes) {
  Digests digests;
  for (const auto alg : predicted_banks) digests[alg] = hash(alg, bytes);
  return digests;
}

Result<Buffer> hash_source(HashAlg alg, const ByteSource& source) {
  Hasher hasher(alg);
  TRY(for_each_chunk(source, 0, source.size(), [&](Bytes chunk) -> Result<void> {
    hasher.update(chunk);
    return {};
  }));
  return hasher.finish();
}

}  // namespace ingot::crypto
