// What a TPM keeps for others: NV indices and sealed data. Trusted Platform Module Library 2.0, Part 2: Structures,
// revision 1.59. All integers are big-endian.
#pragma once

#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::codec {

/// TPMS_NV_PUBLIC. `attributes` are a TPMA_NV; the TPM sets TPMA_NV_WRITTEN in it by itself, which changes the Name.
struct TpmNvPublic {
  std::uint32_t index = 0;
  HashAlg name_alg = HashAlg::sha256;
  std::uint32_t attributes = 0;
  Buffer auth_policy;
  std::uint16_t data_size_bytes = 0;
  bool operator==(const TpmNvPublic&) const = default;
};
inline constexpr std::uint32_t nv_written = 1u << 29;  ///< Part 2, "TPMA_NV"

Buffer encode_tpm_nv_public(const TpmNvPublic& index);
Result<TpmNvPublic> decode_tpm_nv_public(Bytes data);
/// Part 1, "Names": nameAlg || H_nameAlg(TPMS_NV_PUBLIC).
Buffer nv_name(const TpmNvPublic& index);

/// TPMT_PUBLIC of a sealed data object: TPM_ALG_KEYEDHASH without a scheme. A type of its own: nothing that takes a key
/// can do anything with it.
struct TpmSealedPublic {
  HashAlg name_alg = HashAlg::sha256;
  std::uint32_t attributes = 0;
  Buffer auth_policy;
  Buffer unique;
  bool operator==(const TpmSealedPublic&) const = default;
};
Buffer encode_tpm_sealed_public(const TpmSealedPublic& object);
/// Other types of object and schemes other than null are errors (malformed).
Result<TpmSealedPublic> decode_tpm_sealed_public(Bytes data);
/// Part 1, "Names", as object_name().
Buffer sealed_name(const TpmSealedPublic& object);
/// Part 1, "Sealed Data Objects" (unique of a symmetric object): H_nameAlg(seedValue || data).
Buffer sealed_unique(HashAlg name_alg, Bytes seed_value, Bytes data);

/// Part 2, "TPM2B_SENSITIVE_DATA": MAX_SYM_DATA.
inline constexpr std::size_t sealed_data_cap_bytes = 128;
/// TPMT_SENSITIVE of a sealed data object. Preconditions: none of the three is longer than a u16 can say.
crypto::Secret encode_tpm_sealed_sensitive(Bytes auth_value, Bytes seed_value, Bytes data);

}  // namespace ingot::codec
