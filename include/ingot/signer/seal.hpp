// Secrets that one TPM gives out, and only under a policy; made without that TPM.
#pragma once

#include "ingot/codec/tpm_object.hpp"

namespace ingot::signer {

/// What TPM2_Import takes (Trusted Platform Module Library 2.0, Part 3, "TPM2_Import"), each with its size in front. No
/// file of these is secret.
struct SealedSecret {
  Buffer object_public;   ///< TPM2B_PUBLIC
  Buffer duplicate;       ///< TPM2B_PRIVATE
  Buffer encrypted_seed;  ///< TPM2B_ENCRYPTED_SECRET
  bool operator==(const SealedSecret&) const = default;
};

/// Numbers that are random where nobody gives them: for known answers in tests, never for a secret of somebody.
struct SealNumbers {
  crypto::Secret seed_value;         ///< 32 bytes; hides the data in `unique`
  crypto::Secret ephemeral_private;  ///< of an ECC key's agreement; not used with RSA
};

/// A sealed data object under `srk`, wrapped for it as TPM2_Duplicate would (Part 1, "Outer Duplication Wrapper"; no
/// inner wrapper). It has no password, and no attribute but its policy to be used by: `policy` is the policyDigest of
/// SHA-256 (measure::policy_pcr and its like). Errors: as fleet::check_storage_key; (usage) for a secret that is empty
/// or longer than codec::sealed_data_cap_bytes, and for a policy that is none: 32 bytes, not all zeroes.
Result<SealedSecret> seal_for(const codec::TpmPublic& srk, Bytes secret, Bytes policy);
Result<SealedSecret> seal_with(const codec::TpmPublic& srk, Bytes secret, Bytes policy, const SealNumbers& numbers);

}  // namespace ingot::signer
