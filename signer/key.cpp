#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ingot/base/source.hpp"
#include "ingot/crypto/secret.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;

constexpr std::uint64_t key_cap_bytes = 64u << 10;

Result<void> check_private(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(io_error(fmt::format("private key {}", path), errno));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::usage, fmt::format("private key {} is not a regular file", path));
  if ((info.st_mode & 077) != 0)
    return fail(ErrorCode::usage,
                fmt::format("private key {} can be read by others (mode {:04o})", path, info.st_mode & 07777),
                fmt::format("chmod 600 {}, and make new keys if somebody may have read it", path));
  return {};
}

/// An encrypted key asks for its passphrase through OpenSSL's callback; a build has nobody to ask.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<KeyHandle> read_private_key(const std::string& path) {
  TRY(check_private(path));
  const crypto::Secret pem(TRY(read_file(path, key_cap_bytes)));
  const BioHandle bio(BIO_new_mem_buf(pem.view().data(), static_cast<int>(pem.size())));
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key) return key;
  auto error =
      crypto::openssl_error(ErrorCode::crypto, fmt::format("{} is not a private key in PEM that can be read", path));
  error.remedy = "give a PKCS#8 or traditional PEM key";
  if (as_text(pem).find("ENCRYPTED") != std::string_view::npos) {
    ERR_clear_error();
    error.message = fmt::format("private key {} is encrypted", path);
    error.remedy = "decrypt it with `openssl pkey` into a file of mode 0600 on the machine that signs";
  }
  return fail(std::move(error));
}

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

}  // namespace

Result<SigningKey> SigningKey::load(const std::string& key_path, const std::string& certificate_path) {
  auto state = std::make_shared<State>();
  state->key = TRY(read_private_key(key_path));
  state->public_key = TRY_IN(key_path, public_half(state->key.get()));
  if (!certificate_path.empty()) {
    const auto pem = TRY(read_file(certificate_path, key_cap_bytes));
    state->certificate = TRY_IN(certificate_path, crypto::Certificate::from_pem(as_text(pem)));
    if (state->certificate->public_key().spki_der() != state->public_key->spki_der())
      return fail(ErrorCode::crypto, fmt::format("{} does not belong to {}", certificate_path, key_path),
                  "give the certificate that was made for this key");
  }
  return SigningKey(std::move(state));
}

const crypto::PublicKey& SigningKey::public_key() const { return *state_->public_key; }

Result<crypto::Certificate> SigningKey::certificate() const {
  if (!state_->certificate)
    return fail(ErrorCode::missing, "this key has no certificate", "load it together with its .crt file");
  return *state_->certificate;
}

Result<Buffer> SigningKey::sign(HashAlg alg, Bytes message) const {
  const int kind = EVP_PKEY_get_base_id(state_->key.get());
  if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_ED25519)
    return fail(ErrorCode::crypto, "only RSA (PKCS#1 v1.5) and Ed25519 sign the same bytes the same way twice",
                "use an RSA or Ed25519 key here");
  const std::unique_ptr<EVP_MD_CTX, crypto::Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, kind == EVP_PKEY_RSA ? message_digest(alg) : nullptr, nullptr,
                         state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "preparing a signature"));
  Buffer signature(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "signing"));
  signature.resize(size);
  return signature;
}

Result<Buffer> SigningKey::sign_es256(Bytes message) const {
  constexpr int number_bytes = 32;
  if (EVP_PKEY_get_base_id(state_->key.get()) != EVP_PKEY_EC || EVP_PKEY_get_bits(state_->key.get()) != 256)
    return fail(ErrorCode::crypto, "ES256 needs an EC key on P-256");
  const std::unique_ptr<EVP_MD_CTX, crypto::Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, state_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "preparing a signature"));
  Buffer der(size);
  if (EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "signing"));
  const unsigned char* at = der.data();
  const std::unique_ptr<ECDSA_SIG, crypto::Deleter<ECDSA_SIG_free>> parts(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  Buffer signature(2 * number_bytes);
  if (!parts || BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), signature.data(), number_bytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), signature.data() + number_bytes, number_bytes) < 0)
    return fail(crypto::openssl_error(ErrorCode::crypto, "reading a signature"));
  return signature;
}

}  // namespace ingot::signer
