// What systemd keeps in a LUKS2 header to open a volume by a TPM: the token "systemd-tpm2", as systemd-cryptenroll 257
// writes it and libcryptsetup-token-systemd-tpm2 reads it. Its volume key slot is opened by the sealed secret in
// base64, as text.
#pragma once

#include "ingot/codec/tpm_object.hpp"

namespace ingot::codec {

/// A sealed object, and the policy under which a TPM gives its secret out.
struct SealedPart {
  Buffer object_private;  ///< TPM2B_PRIVATE
  Buffer object_public;   ///< TPM2B_PUBLIC
  Buffer encrypted_seed;  ///< TPM2B_ENCRYPTED_SECRET; empty for an object that its TPM made: it is loaded, not imported
  Buffer policy;          ///< policyDigest, SHA-256
  bool operator==(const SealedPart&) const = default;
};

struct LuksToken {
  std::uint32_t key_slot = 0;
  /// One; or two, the first under the signed policy and the second under the index, whose secrets together open.
  std::vector<SealedPart> parts;
  HashAlg bank = HashAlg::sha256;
  std::vector<PcrIndex> pcrs;         ///< by value; the last PCRs of the policy. May be empty
  std::vector<PcrIndex> signed_pcrs;  ///< signed by `policy_key_pem`; both empty or neither
  std::string policy_key_pem;         ///< SubjectPublicKeyInfo, byte for byte as enrolled
  Buffer storage_key;                 ///< saved_handle() of the SRK
  TpmAlg storage_key_alg = TpmAlg::ecc;
  Buffer policy_index;  ///< saved_handle() of the NV index of PolicyAuthorizeNV; empty without one
};
/// The token's JSON, in the form libcryptsetup takes.
std::string encode_luks_token(const LuksToken& token);

/// A persistent key as ESYS serializes it (tpm2-tss 4.1, Esys_TR_Serialize): handle, Name, kind, TPM2B_PUBLIC. By the
/// Name systemd knows another TPM when it meets it.
Result<Buffer> saved_handle(std::uint32_t persistent_handle, const TpmPublic& key);
/// The same for an NV index: handle, Name, kind, TPM2B_NV_PUBLIC.
Buffer saved_handle(const TpmNvPublic& index);

}  // namespace ingot::codec
