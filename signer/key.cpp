#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>

#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"
#include "key_source.hpp"
#include "key_state.hpp"
#include "signature_log.hpp"

namespace ingot::signer {
namespace {

using DigestHandle = std::unique_ptr<EVP_MD_CTX, crypto::Deleter<EVP_MD_CTX_free>>;

constexpr std::uint64_t certificate_cap_bytes = 64u << 10;

Result<crypto::PublicKey> public_half(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "the key has no public half"));
  const Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return crypto::PublicKey::from_spki_der(bytes);
}

const EVP_MD* message_digest(HashAlg alg) {
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

codec::SignatureEntry entry_of(const SigningPurpose& purpose, Bytes message, const crypto::PublicKey& key) {
  codec::SignatureEntry entry;
  entry.what = purpose.what;
  entry.digest = purpose.digest;
  entry.signed_sha256 = crypto::sha256(message);
  entry.key_sha256 = crypto::sha256(key.spki_der());
  return entry;
}

}  // namespace

Result<SigningKey> SigningKey::load(const std::string& reference, const std::string& certificate_path) {
  auto opened = TRY(open_key(reference));
  auto* key = opened.key.get();
  auto state = std::make_shared<State>(std::move(opened.key));
  state->place = std::move(opened.place);
  state->in_token = opened.in_token;
  state->kind = TRY(check_strength(key, state->place));
  state->public_key = TRY_IN(state->place, public_half(key));
  state->log_path = signature_log_path(reference);
  if (!certificate_path.empty()) {
    const auto pem = TRY(read_file(certificate_path, certificate_cap_bytes));
    state->certificate = TRY_IN(certificate_path, crypto::Certificate::from_pem(as_text(pem)));
    TRY(check_certificate(*state->certificate, *state->public_key, certificate_path, state->place));
  }
  return SigningKey(std::move(state));
}

const crypto::PublicKey& SigningKey::public_key() const { return *state_->public_key; }
KeyKind SigningKey::kind() const { return state_->kind; }
const std::string& SigningKey::place() const { return state_->place; }

Result<crypto::Certificate> SigningKey::certificate() const {
  if (!state_->certificate)
    return fail(ErrorCode::missing, "this key has no certificate", "load it together with its .crt file");
  return *state_->certificate;
}

Result<Buffer> SigningKey::State::make_signature(HashAlg alg, Bytes message) const {
  const DigestHandle context(EVP_MD_CTX_new());
  std::size_t size = 0;
  const auto* digest = kind == KeyKind::ed25519 ? nullptr : message_digest(alg);
  bool ok = EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1 &&
            EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) == 1;
  Buffer signature(size);
  ok = ok && EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1;
  if (!ok) {
    auto error =
        crypto::openssl_error(in_token ? ErrorCode::io : ErrorCode::crypto, fmt::format("{} does not sign", place));
    if (in_token) error.remedy = "see whether the token is still there; nothing that needs this signature was written";
    return fail(std::move(error));
  }
  signature.resize(size);
  // A token that went wrong, or whose public half is another key's, must not go unseen.
  TRY_IN(fmt::format("what {} signed", place), public_key->verify(alg, message, signature));
  return signature;
}

Result<void> SigningKey::State::use(const SigningPurpose& purpose,
                                    const std::function<Result<Buffer>(EVP_PKEY*)>& make) const {
  const auto message = TRY(make(key_.get()));
  return log_signature(TRY(log_path), entry_of(purpose, message, *public_key));
}

Result<Buffer> SigningKey::sign(const SigningPurpose& purpose, HashAlg alg, Bytes message) const {
  if (state_->answer) return state_->answered(purpose, alg, message);
  if (kind() == KeyKind::p256)
    return fail(ErrorCode::crypto, "only RSA (PKCS#1 v1.5) and Ed25519 sign the same bytes the same way twice",
                "use an RSA or Ed25519 key here");
  auto signature = TRY_IN(purpose.what, state_->make_signature(alg, message));
  TRY(log_signature(TRY(state_->log_path), entry_of(purpose, message, public_key())));
  if (state_->made)
    state_->made->push_back({purpose.what, public_key().key_id(), crypto::sha256_hex(message), signature});
  return signature;
}

Result<Buffer> SigningKey::sign_es256(const SigningPurpose& purpose, Bytes message) const {
  constexpr int number_bytes = 32;
  if (kind() != KeyKind::p256 || state_->answer) return fail(ErrorCode::crypto, "ES256 needs an EC key on P-256");
  const auto der = TRY_IN(purpose.what, state_->make_signature(HashAlg::sha256, message));
  const unsigned char* at = der.data();
  const std::unique_ptr<ECDSA_SIG, crypto::Deleter<ECDSA_SIG_free>> parts(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  Buffer signature(2 * number_bytes);
  if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), signature.data(), number_bytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), signature.data() + number_bytes, number_bytes) < 0)
    return fail(crypto::openssl_error(ErrorCode::crypto, "reading a signature"));
  TRY(log_signature(TRY(state_->log_path), entry_of(purpose, message, public_key())));
  return signature;
}

}  // namespace ingot::signer
