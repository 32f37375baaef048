// crypto/hash.hpp for the agent, over the plain SHA-2 functions of libcrypto. EVP would bring in the provider
// machinery: 4 MB of code, and at run time the node's own openssl.cnf, whose providers a static file of another release
// must not load.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ingot/crypto/hash.hpp"

#include <openssl/sha.h>

#include <cstdlib>
#include <variant>

namespace ingot::crypto {

struct Hasher::State {
  explicit State(HashAlg wanted) : alg(wanted) { restart(); }
  void restart() {
    switch (alg) {
      case HashAlg::sha256:
        SHA256_Init(&context.emplace<SHA256_CTX>());
        return;
      case HashAlg::sha384:
        SHA384_Init(&context.emplace<SHA512_CTX>());
        return;
      case HashAlg::sha512:
        SHA512_Init(&context.emplace<SHA512_CTX>());
        return;
      case HashAlg::sha1:
      case HashAlg::sm3_256:
        break;
    }
    std::abort();  // no structure that the agent writes uses these
  }
  HashAlg alg;
  std::variant<SHA256_CTX, SHA512_CTX> context;
};

Hasher::Hasher(HashAlg alg) : state_(std::make_unique<State>(alg)) {}
Hasher::Hasher(const Hasher& other) : state_(std::make_unique<State>(*other.state_)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher& Hasher::update(Bytes bytes) {
  if (auto* small = std::get_if<SHA256_CTX>(&state_->context)) SHA256_Update(small, bytes.data(), bytes.size());
  if (auto* large = std::get_if<SHA512_CTX>(&state_->context)) SHA512_Update(large, bytes.data(), bytes.size());
  return *this;
}

Buffer Hasher::finish() {
  Buffer digest(digest_size_bytes(state_->alg));
  // SHA512_Final writes as many bytes as its context was started for.
  if (auto* small = std::get_if<SHA256_CTX>(&state_->context)) SHA256_Final(digest.data(), small);
  if (auto* large = std::get_if<SHA512_CTX>(&state_->context)) SHA512_Final(digest.data(), large);
  state_->restart();
  return digest;
}

Digest hash(HashAlg alg, Bytes bytes) { return Hasher(alg).update(bytes).finish(); }

}  // namespace ingot::crypto
