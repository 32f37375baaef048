// Internal to signer/.
#pragma once

#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

/// PBKDF2 (RFC 8018, 5.2 "PBKDF2") with HMAC-SHA-256. For a password of up to a block OpenSSL's takes twice as
/// long: it copies two contexts of its providers in each round. Precondition: one round at least.
crypto::Secret pbkdf2(Bytes password, Bytes salt, std::uint32_t iterations, std::size_t size_bytes);

}  // namespace ingot::signer
