// Credentials that only one TPM can open. Trusted Platform Module Library 2.0, Part 1, "Credential Protection" and
// "Secret Sharing".
#pragma once

#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::fleet {

/// A seed, and the form in which only the TPM that holds the key can get at it.
struct SharedSecret {
  crypto::Secret seed;  ///< as many bytes as a digest of the key's name algorithm, or of its OAEP scheme
  Buffer encrypted;     ///< TPMU_ENCRYPTED_SECRET: RSA ciphertext, or the ephemeral TPMS_ECC_POINT
};
/// "IDENTITY", "DUPLICATE", "SECRET" (without the NUL, which is added where the specification wants it).
/// RSA: OAEP; ECC: one-pass Diffie-Hellman with KDFe. Error (crypto) for a key that cannot be used so.
Result<SharedSecret> share_secret(const codec::TpmPublic& key, std::string_view label);
/// The same with a given ephemeral private number, for known answers. Precondition: an ECC key.
Result<SharedSecret> share_secret_with(const codec::TpmPublic& key, std::string_view label, Bytes ephemeral_private);

/// The outer wrapper of what is handed to a storage key: TPM2B_DIGEST of the HMAC over ciphertext and `name`, and the
/// ciphertext of `plain` (Part 1, "Credential Protection" and "Outer Duplication Wrapper", which are one construction).
/// Error (crypto) for a key that names no AES-CFB.
Result<Buffer> protect(const codec::TpmPublic& key, Bytes seed, Bytes name, Bytes plain);

struct Credential {
  Buffer id_object;         ///< TPMS_ID_OBJECT: HMAC and encrypted credential; the content of a TPM2B_ID_OBJECT
  Buffer encrypted_secret;  ///< content of a TPM2B_ENCRYPTED_SECRET
  bool operator==(const Credential&) const = default;
};
/// What TPM2_MakeCredential makes: `secret` comes out of TPM2_ActivateCredential only where `ek` and the object named
/// `object_name` are in one TPM. Precondition: a secret no longer than the digest of the EK's name algorithm.
Result<Credential> make_credential(const codec::TpmPublic& ek, Bytes object_name, Bytes secret);

/// The form that tpm2_activatecredential reads (tpm2-tools, "files.c").
Buffer encode_credential_blob(const Credential& credential);

}  // namespace ingot::fleet
