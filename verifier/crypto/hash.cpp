#include "ingot/crypto/hash.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace ingot::crypto {
namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

/// Fetched once: OpenSSL 3 looks a method up for every digest otherwise, which costs more than hashing an event.
const EVP_MD* method(HashAlg alg) {
  static const EVP_MD* sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  static const EVP_MD* sha384 = EVP_MD_fetch(nullptr, "SHA2-384", nullptr);
  static const EVP_MD* sha512 = EVP_MD_fetch(nullptr, "SHA2-512", nullptr);
  static const EVP_MD* sm3 = EVP_MD_fetch(nullptr, "SM3", nullptr);
  switch (alg) {
    case HashAlg::sha1:
      return sha1;
    case HashAlg::sha256:
      return sha256;
    case HashAlg::sha384:
      return sha384;
    case HashAlg::sha512:
      return sha512;
    case HashAlg::sm3_256:
      return sm3;
  }
  return nullptr;
}

}  // namespace

struct Hasher::State {
  explicit State(HashAlg alg) : md(method(alg)), context(EVP_MD_CTX_new()) {
    require(md != nullptr && context != nullptr && EVP_DigestInit_ex(context, md, nullptr) == 1);
  }
  State(const State& other) : md(other.md), context(EVP_MD_CTX_new()) {
    require(context != nullptr && EVP_MD_CTX_copy_ex(context, other.context) == 1);
  }
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
  const EVP_MD* md;
  EVP_MD_CTX* context;
};

Hasher::Hasher(HashAlg alg) : state_(std::make_unique<State>(alg)) {}
Hasher::Hasher(const Hasher& other) : state_(std::make_unique<State>(*other.state_)) {}
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

Digest hash(HashAlg alg, Bytes bytes) {
  // One context for each thread: making one costs as much as hashing an event.
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const EVP_MD* md = method(alg);
  require(md != nullptr && context != nullptr);
  Digest digest(static_cast<std::size_t>(EVP_MD_get_size(md)), 0);
  require(EVP_DigestInit_ex(context.get(), md, nullptr) == 1 &&
          EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
          EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

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
