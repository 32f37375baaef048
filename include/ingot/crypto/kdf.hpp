// Key derivation of TPM 2.0. Trusted Platform Module Library 2.0, Part 1, "Key Derivation Function".
#pragma once

#include <string_view>

#include "ingot/crypto/secret.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::crypto {

/// KDFa: SP 800-108 in counter mode with HMAC. `bits` need not be a multiple of 8: the top bits of the first byte are
/// cleared then.
Secret kdfa(HashAlg alg, Bytes key, std::string_view label, Bytes context_u, Bytes context_v, std::uint32_t bits);

/// KDFe: SP 800-56C in one step with a plain hash, for secrets from ECDH. Precondition: `z` is not empty.
Secret kdfe(HashAlg alg, Bytes z, std::string_view label, Bytes party_u, Bytes party_v, std::uint32_t bits);

/// HMAC (RFC 2104).
Buffer hmac(HashAlg alg, Bytes key, Bytes message);

/// AES in CFB mode with an IV of zeroes, as TPMs protect what they hand out. Precondition: a key of 16, 24 or 32 bytes.
Buffer aes_cfb_encrypt(Bytes key, Bytes plain);

}  // namespace ingot::crypto
