// Secrets that only the owner of a key can get at: RSA-OAEP and one-pass Diffie-Hellman.
#pragma once

#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::crypto {

/// RSAES-OAEP (RFC 8017) with one hash for label and mask. Error (crypto) for a key that is not RSA.
Result<Buffer> oaep_encrypt(const PublicKey& key, HashAlg alg, Bytes label, Bytes plain);

/// SP 800-56A, "C(1e, 1s, ECC CDH)". All numbers have the length of the curve's field.
struct EccAgreement {
  Secret z;  ///< x coordinate of the shared point
  Buffer ephemeral_x, ephemeral_y;
  Buffer static_x;  ///< of the peer
};
/// `ephemeral_private`: empty for a random one. Error (crypto) for a key that is no point of a NIST curve.
Result<EccAgreement> agree(const PublicKey& peer, Bytes ephemeral_private = {});

}  // namespace ingot::crypto
