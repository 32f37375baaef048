#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <functional>
#include <memory>
#include <optional>

#include "ingot/crypto/openssl.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

using KeyHandle = std::unique_ptr<EVP_PKEY, crypto::Deleter<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, crypto::Deleter<X509_free>>;

/// OpenSSL wipes private numbers when it frees a key. The private half leaves here only as a signature that is in the
/// log, or to decrypt.
struct SigningKey::State {
 public:
  explicit State(std::shared_ptr<EVP_PKEY> private_half) : key_(std::move(private_half)) {}

  std::optional<crypto::PublicKey> public_key;
  std::optional<crypto::Certificate> certificate;
  KeyKind kind = KeyKind::rsa;
  std::string place;
  bool in_token = false;
  Result<std::string> log_path;  ///< of the signature log; an error is told when there is something to log
  std::shared_ptr<const codec::SigningAnswer> answer;           ///< null: the private half signs
  std::shared_ptr<std::vector<codec::AnsweredSignature>> made;  ///< null: nobody collects

  /// For structures that OpenSSL alone puts together (X509_sign()); all else is signed by SigningKey::sign(). `make`
  /// signs, and gives back the bytes that it signed. What it made is good only when this succeeds.
  [[nodiscard]] Result<void> use(const SigningPurpose& purpose,
                                 const std::function<Result<Buffer>(EVP_PKEY*)>& make) const;
  /// What `answer` has for this message, checked as anybody would check it.
  [[nodiscard]] Result<Buffer> answered(const SigningPurpose& purpose, HashAlg alg, Bytes message) const;
  [[nodiscard]] EVP_PKEY* for_decryption() const { return key_.get(); }
  /// The signature alone; whoever calls this logs it.
  [[nodiscard]] Result<Buffer> make_signature(HashAlg alg, Bytes message) const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
};

/// What is wrong with a key of this kind and size, if anything.
Result<KeyKind> check_strength(EVP_PKEY* key, const std::string& place);
/// Error (crypto) unless the certificate is this key's and valid now, or at SOURCE_DATE_EPOCH where that is set.
Result<void> check_certificate(const crypto::Certificate& certificate, const crypto::PublicKey& key,
                               const std::string& certificate_path, const std::string& place);

}  // namespace ingot::signer
