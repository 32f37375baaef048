// Signatures in PKCS#7 (RFC 2315) by keys that OpenSSL's PKCS#7 never sees. Internal to signer/.
#pragma once

#include <openssl/pkcs7.h>

#include "key_state.hpp"

namespace ingot::signer {

/// Fills in the signature of a signer that PKCS7_add_signature() made with the certificate's public key and SHA-256:
/// over its attributes where it has some (they hold the content's digest), else over `content`.
Result<void> sign_pkcs7(PKCS7_SIGNER_INFO* signer, const SigningKey& key, const SigningPurpose& purpose, Bytes content);

}  // namespace ingot::signer
