#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>

#include "ingot/crypto/openssl.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

using KeyHandle = std::unique_ptr<EVP_PKEY, crypto::Deleter<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, crypto::Deleter<X509_free>>;

/// OpenSSL wipes private numbers when it frees a key.
struct SigningKey::State {
  KeyHandle key;
  std::optional<crypto::PublicKey> public_key;
  std::optional<crypto::Certificate> certificate;
};

}  // namespace ingot::signer
