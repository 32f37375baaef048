// TPM 2.0 structures, as far as quotes and the agent's commands need them. Trusted Platform Module Library 2.0,
// Part 2: Structures, revision 1.59. All integers are big-endian.
#pragma once

#include <variant>
#include <vector>

#include "ingot/base/reader.hpp"
#include "ingot/base/result.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::codec {

/// Part 2, "TPM_ALG_ID" (TCG Algorithm Registry), beside the hashes of HashAlg.
enum class TpmAlg : std::uint16_t {
  rsa = 0x0001,
  aes = 0x0006,
  keyedhash = 0x0008,
  null = 0x0010,
  rsassa = 0x0014,
  rsapss = 0x0016,
  oaep = 0x0017,
  ecdsa = 0x0018,
  ecdh = 0x0019,
  ecc = 0x0023,
  symcipher = 0x0025,
  cfb = 0x0043,
};
/// Part 2, "TPM_ECC_CURVE".
enum class TpmCurve : std::uint16_t { p256 = 0x0003, p384 = 0x0004, p521 = 0x0005 };

/// Part 2, "TPMA_OBJECT".
namespace object_attribute {
inline constexpr std::uint32_t fixed_tpm = 1u << 1;
inline constexpr std::uint32_t st_clear = 1u << 2;
inline constexpr std::uint32_t fixed_parent = 1u << 4;
inline constexpr std::uint32_t sensitive_data_origin = 1u << 5;
inline constexpr std::uint32_t user_with_auth = 1u << 6;
inline constexpr std::uint32_t admin_with_policy = 1u << 7;
inline constexpr std::uint32_t no_da = 1u << 10;
inline constexpr std::uint32_t restricted = 1u << 16;
inline constexpr std::uint32_t decrypt = 1u << 17;
inline constexpr std::uint32_t sign_encrypt = 1u << 18;
}  // namespace object_attribute

// --- PCR selection -------------------------------------------------------------------------------------------

/// TPMS_PCR_SELECTION. `pcrs` ascending; what is not in it is not selected.
struct PcrSelection {
  HashAlg bank{};
  std::vector<PcrIndex> pcrs;
  bool operator==(const PcrSelection&) const = default;
};
/// TPML_PCR_SELECTION, in the order of the list: it is the order in which a quote digests the values.
using PcrSelections = std::vector<PcrSelection>;
inline constexpr std::size_t pcr_selection_cap = 16;  ///< HASH_COUNT

/// TPML_PCR_SELECTION with three octets of bits per bank.
void encode_pcr_selections(Writer& out, const PcrSelections& selections);
Buffer encode_pcr_selections(const PcrSelections& selections);
/// Reads in place; a failure sticks to `in`.
PcrSelections decode_pcr_selections(Reader& in);

// --- signatures ----------------------------------------------------------------------------------------------

/// TPMT_SIG_SCHEME; `hash` is not encoded for the null scheme.
struct TpmScheme {
  TpmAlg alg = TpmAlg::null;
  HashAlg hash = HashAlg::sha256;
  bool operator==(const TpmScheme&) const = default;
};

/// TPMT_SIGNATURE of RSASSA, RSAPSS or ECDSA.
struct TpmSignature {
  TpmScheme scheme;
  Buffer rsa;   ///< TPM2B_PUBLIC_KEY_RSA
  Buffer r, s;  ///< TPM2B_ECC_PARAMETER
  bool operator==(const TpmSignature&) const = default;
};
Buffer encode_tpm_signature(const TpmSignature& signature);
Result<TpmSignature> decode_tpm_signature(Bytes data);

// --- public areas --------------------------------------------------------------------------------------------

/// TPMT_SYM_DEF_OBJECT; only `alg` counts for null.
struct TpmSymmetric {
  TpmAlg alg = TpmAlg::null;
  std::uint16_t key_bits = 0;
  TpmAlg mode = TpmAlg::cfb;
  bool operator==(const TpmSymmetric&) const = default;
};
struct TpmRsa {
  TpmSymmetric symmetric;
  TpmScheme scheme;
  std::uint16_t key_bits = 2048;
  std::uint32_t exponent = 0;  ///< 0 means 65537
  Buffer modulus;              ///< empty in a template
  bool operator==(const TpmRsa&) const = default;
};
struct TpmEcc {
  TpmSymmetric symmetric;
  TpmScheme scheme;
  TpmCurve curve = TpmCurve::p256;
  Buffer x, y;  ///< empty in a template
  bool operator==(const TpmEcc&) const = default;
};
/// TPMT_PUBLIC of an RSA or ECC object.
struct TpmPublic {
  HashAlg name_alg = HashAlg::sha256;
  std::uint32_t attributes = 0;
  Buffer auth_policy;
  std::variant<TpmRsa, TpmEcc> key;
  bool operator==(const TpmPublic&) const = default;
};
Buffer encode_tpm_public(const TpmPublic& object);
Result<TpmPublic> decode_tpm_public(Bytes data);

/// Part 1, "Names": nameAlg || H_nameAlg(TPMT_PUBLIC), over the bytes as they came.
Result<Buffer> object_name(Bytes tpmt_public);
/// Error (crypto) for a template or for values that are no key.
Result<crypto::PublicKey> public_key(const TpmPublic& object);

enum class KeyKind { ecc, rsa };
/// Template of an attestation key: restricted signing, fixed to its TPM; ECC P-256 with ECDSA, or RSA 2048 with RSASSA,
/// both with SHA-256. Given to TPM2_CreatePrimary under the endorsement hierarchy, so that each TPM has exactly one of
/// a kind. Without dictionary attack protection: its password is empty, and a few power cuts would lock it (Part 1,
/// "Dictionary Attack Protection": an unorderly shutdown counts as a failed try).
TpmPublic attestation_key_template(KeyKind kind = KeyKind::ecc);

/// An endorsement key that TPMs come with. TCG EK Credential Profile 2.5, "Default EK Templates".
struct EndorsementKey {
  std::uint32_t certificate_index = 0;  ///< NV index of its certificate
  TpmPublic key;                        ///< template
  /// True: TPM2_PolicySecret of the endorsement hierarchy authorizes its use; false: its empty password does.
  bool by_policy = true;
};
/// L-2, L-1, H-2, H-3 and H-1: ECC P-256, RSA 2048, ECC P-256, ECC P-384, RSA 2048.
std::vector<EndorsementKey> endorsement_keys();
/// True when the public area is the template with a key filled in.
bool is_made_from(const TpmPublic& object, const TpmPublic& key_template);

// --- quotes --------------------------------------------------------------------------------------------------

inline constexpr std::uint32_t tpm_generated_value = 0xFF544347;  ///< Part 2, "TPM_GENERATED": FF "TCG"
inline constexpr std::uint16_t tpm_st_attest_quote = 0x8018;      ///< Part 2, "TPM_ST"

/// TPMS_CLOCK_INFO.
struct TpmClock {
  std::uint64_t clock_ms = 0;
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  bool safe = false;
  bool operator==(const TpmClock&) const = default;
};
/// TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE.
struct TpmQuote {
  Buffer qualified_signer;  ///< TPM2B_NAME
  Buffer extra_data;        ///< TPM2B_DATA: the qualifying data
  TpmClock clock;
  std::uint64_t firmware_version = 0;
  PcrSelections selections;
  Buffer pcr_digest;
  bool operator==(const TpmQuote&) const = default;
};
Buffer encode_tpm_quote(const TpmQuote& quote);
/// Wrong magic, a type other than a quote and trailing bytes are errors (malformed).
Result<TpmQuote> decode_tpm_quote(Bytes attest);

/// The digest of the selected values in list order, ascending within a bank (Part 3, "TPM2_Quote"). `alg` is the
/// signing scheme's hash, not the bank's. Error (missing) when a value is not there.
Result<Buffer> quoted_pcr_digest(HashAlg alg, const PcrSelections& selections, const PcrValues& pcrs);

/// Error (crypto) unless `signature` by `key` over `message` is valid.
Result<void> verify_tpm_signature(const TpmPublic& key, const TpmSignature& signature, Bytes message);
/// The same with public_key(key) at hand.
Result<void> verify_tpm_signature(const TpmPublic& key, const crypto::PublicKey& handle, const TpmSignature& signature,
                                  Bytes message);

// --- building blocks for commands ----------------------------------------------------------------------------

/// Any TPM2B: a u16 length and the bytes. Precondition: at most 65535 bytes.
void encode_tpm2b(Writer& out, Bytes value);
Buffer encode_tpm2b(Bytes value);
/// A view of the bytes of a TPM2B; fails the reader when longer than `cap`.
Bytes decode_tpm2b(Reader& in, std::size_t cap);

}  // namespace ingot::codec
