// RSASSA-PSS (RFC 8017, "RSASSA-PSS"), which TPMs may use for quotes.
#pragma once

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

/// Error (crypto) unless `signature` is valid. MGF1 with the same hash; any salt length, as TPMs differ in theirs.
Result<void> verify_rsa_pss(const PublicKey& key, HashAlg alg, Bytes message, Bytes signature);

}  // namespace ingot::crypto
