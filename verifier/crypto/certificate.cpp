#include "ingot/crypto/certificate.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>

#include "ingot/crypto/hash.hpp"
#include "key_state.hpp"

namespace ingot::crypto {
namespace {

using NumberHandle = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, Deleter<X509_free>>;
constexpr std::size_t input_cap_bytes = 1u << 20;

Result<BioHandle> read_only(std::string_view text) {
  if (text.size() > input_cap_bytes) return fail(ErrorCode::limit, "a key or certificate of more than 1 MiB");
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Given to OpenSSL's PEM readers, whose own callback would ask the terminal when a file claims to be encrypted.
int no_passphrase(char*, int, int, void*) { return -1; }

PublicKey make_key(KeyHandle key) {
  auto state = std::make_shared<PublicKey::State>();
  state->key = std::move(key);
  return PublicKey(std::move(state));
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

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Error openssl_error(ErrorCode code, std::string what) {
  std::string separator = ": ";
  while (const unsigned long number = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(number);
    what += separator + (reason != nullptr ? reason : fmt::format("error {:x}", number));
    separator = "; ";
  }
  return Error{code, std::move(what), {}, std::nullopt, std::nullopt};
}

Result<PublicKey> PublicKey::from_spki_der(Bytes der) {
  const unsigned char* at = der.data();
  KeyHandle key(d2i_PUBKEY(nullptr, &at, static_cast<long>(std::min(der.size(), input_cap_bytes))));
  if (!key) return fail(openssl_error(ErrorCode::malformed, "not a public key in DER"));
  if (at != der.data() + der.size()) return fail(ErrorCode::malformed, "bytes follow the public key");
  return make_key(std::move(key));
}

Result<PublicKey> PublicKey::from_ec_point(const char* curve, Bytes point) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(curve), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::uint8_t*>(point.data()), point.size()),
      OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    return fail(openssl_error(ErrorCode::malformed, fmt::format("not a point of the curve {}", curve)));
  return make_key(KeyHandle(key));
}

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  const auto bio = TRY(read_only(pem));
  KeyHandle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return fail(openssl_error(ErrorCode::malformed, "not a public key in PEM (\"BEGIN PUBLIC KEY\")"));
  return make_key(std::move(key));
}

Buffer PublicKey::spki_der() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(state_->key.get(), &der);
  Buffer out(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return out;
}

Result<Buffer> PublicKey::rsa_public_key_der() const {
  if (EVP_PKEY_get_base_id(state_->key.get()) != EVP_PKEY_RSA) return fail(ErrorCode::crypto, "not an RSA key");
  unsigned char* der = nullptr;
  const int size = i2d_PublicKey(state_->key.get(), &der);
  if (size <= 0) return fail(openssl_error(ErrorCode::crypto, "encoding an RSA public key"));
  Buffer out(der, der + size);
  OPENSSL_free(der);
  return out;
}

Result<PublicKey::RsaNumbers> PublicKey::rsa_numbers() const {
  if (EVP_PKEY_get_base_id(state_->key.get()) != EVP_PKEY_RSA) return fail(ErrorCode::unsupported, "not an RSA key");
  BIGNUM* modulus = nullptr;
  BIGNUM* exponent = nullptr;
  EVP_PKEY_get_bn_param(state_->key.get(), OSSL_PKEY_PARAM_RSA_N, &modulus);
  EVP_PKEY_get_bn_param(state_->key.get(), OSSL_PKEY_PARAM_RSA_E, &exponent);
  const NumberHandle n(modulus), e(exponent);
  if (!n || !e) return fail(openssl_error(ErrorCode::crypto, "reading an RSA public key"));
  if (BN_num_bits(e.get()) > 32) return fail(ErrorCode::unsupported, "an RSA exponent of more than 32 bits");
  RsaNumbers out{Buffer(static_cast<std::size_t>(BN_num_bytes(n.get()))), 0};
  BN_bn2bin(n.get(), out.modulus.data());
  out.exponent = static_cast<std::uint32_t>(BN_get_word(e.get()));
  return out;
}

std::string PublicKey::pem() const {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), state_->key.get());
  return bio_text(bio.get());
}

std::string PublicKey::key_id() const { return sha256_hex(spki_der()); }

Result<void> PublicKey::verify(HashAlg alg, Bytes message, Bytes signature) const {
  const std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  // Ed25519 hashes by itself and takes no digest.
  const EVP_MD* digest = EVP_PKEY_get_base_id(state_->key.get()) == EVP_PKEY_ED25519 ? nullptr : message_digest(alg);
  if (EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, state_->key.get()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "this key cannot verify signatures"));
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "the signature is not valid"));
  return {};
}

Result<Certificate> Certificate::from_der(Bytes der) {
  const unsigned char* at = der.data();
  const CertificateHandle certificate(d2i_X509(nullptr, &at, static_cast<long>(std::min(der.size(), input_cap_bytes))));
  if (!certificate) return fail(openssl_error(ErrorCode::malformed, "not an X.509 certificate in DER"));
  if (at != der.data() + der.size()) return fail(ErrorCode::malformed, "bytes follow the certificate");
  KeyHandle key(X509_get_pubkey(certificate.get()));
  if (!key) return fail(openssl_error(ErrorCode::crypto, "the certificate's public key is not of a known kind"));
  const BioHandle bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
  return Certificate(to_buffer(der), bio_text(bio.get()), make_key(std::move(key)));
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  const auto bio = TRY(read_only(pem));
  const CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate)
    return fail(openssl_error(ErrorCode::malformed, "not a certificate in PEM (\"BEGIN CERTIFICATE\")"));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return fail(openssl_error(ErrorCode::malformed, "encoding a certificate"));
  const Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return from_der(bytes);
}

}  // namespace ingot::crypto
