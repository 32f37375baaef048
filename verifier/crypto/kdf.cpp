#include "ingot/crypto/kdf.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {
namespace {

using KdfHandle = std::unique_ptr<EVP_KDF, Deleter<EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, Deleter<EVP_KDF_CTX_free>>;

std::string digest_name(HashAlg alg) { return alg == HashAlg::sm3_256 ? "SM3" : to_text(alg); }

OSSL_PARAM octets(const char* name, Bytes value) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(value.data()), value.size());
}
/// Parameters point into what they are made from: it must live as long as they do.
OSSL_PARAM text(const char* name, const std::string& value) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value.data()), value.size());
}
OSSL_PARAM text(const char* name, std::string&& value) = delete;

Secret derive(const char* kdf, const OSSL_PARAM* parameters, std::uint32_t bits) {
  const std::size_t size = (bits + 7) / 8;
  if (size == 0) return {};
  const KdfHandle algorithm(EVP_KDF_fetch(nullptr, kdf, nullptr));
  const KdfContext context(EVP_KDF_CTX_new(algorithm.get()));
  Buffer out(size);
  // All inputs are bounded by the callers: what fails here is the library itself.
  if (!context || EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) != 1) std::abort();
  if (bits % 8 != 0) out.front() = static_cast<std::uint8_t>(out.front() & ((1u << bits % 8) - 1));
  return Secret(std::move(out));
}

/// The label with its NUL, and both contexts.
Buffer other_info(std::string_view label, Bytes u, Bytes v) {
  return Writer{}.text(label).u8(0).bytes(u).bytes(v).take();
}

/// OpenSSL's HMAC takes no empty key through parameters; a key of zeroes up to a block is the same key (RFC 2104).
Secret hmac_key(Bytes key) { return key.empty() ? Secret(Buffer(1, 0)) : Secret::copy_of(key); }

}  // namespace

Secret kdfa(HashAlg alg, Bytes key, std::string_view label, Bytes context_u, Bytes context_v, std::uint32_t bits) {
  // The TPM hashes counter | label | 0x00 | contexts | bits; `bits` may be no whole number of bytes, which KBKDF's own
  // length field cannot say: so label, separator and length are given to it as one context.
  const auto info = Writer{}.bytes(other_info(label, context_u, context_v)).u32be(bits).take();
  const auto digest = digest_name(alg);
  const auto secret = hmac_key(key);
  const std::string mac = "HMAC", mode = "COUNTER";
  int none = 0;
  const OSSL_PARAM parameters[] = {text(OSSL_KDF_PARAM_MAC, mac),
                                   text(OSSL_KDF_PARAM_MODE, mode),
                                   text(OSSL_KDF_PARAM_DIGEST, digest),
                                   octets(OSSL_KDF_PARAM_KEY, secret),
                                   octets(OSSL_KDF_PARAM_SALT, info),
                                   OSSL_PARAM_construct_int(OSSL_KDF_PARAM_KBKDF_USE_L, &none),
                                   OSSL_PARAM_construct_int(OSSL_KDF_PARAM_KBKDF_USE_SEPARATOR, &none),
                                   OSSL_PARAM_construct_end()};
  return derive("KBKDF", parameters, bits);
}

Secret kdfe(HashAlg alg, Bytes z, std::string_view label, Bytes party_u, Bytes party_v, std::uint32_t bits) {
  const auto info = other_info(label, party_u, party_v);
  const auto digest = digest_name(alg);
  const OSSL_PARAM parameters[] = {text(OSSL_KDF_PARAM_DIGEST, digest), octets(OSSL_KDF_PARAM_SECRET, z),
                                   octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  return derive("SSKDF", parameters, bits);
}

Buffer hmac(HashAlg alg, Bytes key, Bytes message) {
  Buffer out(digest_size_bytes(alg));
  unsigned size = 0;
  const std::unique_ptr<EVP_MD, Deleter<EVP_MD_free>> digest(EVP_MD_fetch(nullptr, digest_name(alg).c_str(), nullptr));
  if (HMAC(digest.get(), key.data(), static_cast<int>(key.size()), message.data(), message.size(), out.data(), &size) ==
      nullptr)
    std::abort();
  return out;
}

Buffer aes_cfb_encrypt(Bytes key, Bytes plain) {
  const EVP_CIPHER* cipher = key.size() == 16   ? EVP_aes_128_cfb128()
                             : key.size() == 24 ? EVP_aes_192_cfb128()
                                                : EVP_aes_256_cfb128();
  const std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>> context(EVP_CIPHER_CTX_new());
  const Buffer iv(16, 0);
  Buffer out(plain.size());
  int size = 0;
  if (EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.data(), iv.data()) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(), static_cast<int>(plain.size())) != 1)
    std::abort();
  return out;
}

}  // namespace ingot::crypto
