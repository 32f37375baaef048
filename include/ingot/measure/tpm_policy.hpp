// What a policy session of a TPM will hold, computed without one. Trusted Platform Module Library 2.0, Part 3:
// Commands, revision 1.59; Part 1, "Enhanced Authorization".
#pragma once

#include "ingot/codec/tpm_object.hpp"

namespace ingot::measure {

/// policyDigest of a session that has just been started: zeroes. `alg` is the session's hash here and below; an object
/// takes the policy of a session whose hash is its name algorithm.
Buffer policy_start(HashAlg alg);

/// Part 3, "TPM2_PolicyPCR": H(before || TPM_CC_PolicyPCR || TPML_PCR_SELECTION || H(values)). The order of selections
/// counts. Error (missing) when `pcrs` lacks a selected value.
Result<Buffer> policy_pcr(HashAlg alg, Bytes before, const codec::PcrSelections& selections, const PcrValues& pcrs);

/// Part 3, "TPM2_PolicyAuthorize": whatever came before is replaced; H(H(0 || TPM_CC_PolicyAuthorize || keySign) ||
/// policyRef). `key_name` is the Name of the key that signs policies, `policy_ref` may be empty.
Buffer policy_authorize(HashAlg alg, Bytes key_name, Bytes policy_ref = {});

/// Part 3, "TPM2_PolicyAuthorizeNV": whatever came before is replaced; H(0 || TPM_CC_PolicyAuthorizeNV || nvIndex).
/// `nv_name` is codec::nv_name() with TPMA_NV_WRITTEN: a TPM reads no index that nobody has written.
Buffer policy_authorize_nv(HashAlg alg, Bytes nv_name);

/// Part 3, "TPM2_PolicyNV" with TPM_EO_UNSIGNED_LE: the content of the index, a big-endian number of 8 bytes, is at
/// most `most`. H(before || TPM_CC_PolicyNV || H(operandB || offset || operation) || nvIndex).
Buffer policy_nv_at_most(HashAlg alg, Bytes before, Bytes nv_name, std::uint64_t most);

/// Part 3, "TPM2_PolicyOR": whatever came before is replaced; H(0 || TPM_CC_PolicyOR || digests). Precondition: 2 to 8.
Buffer policy_or(HashAlg alg, const std::vector<Buffer>& branches);

/// The public area under which systemd and tpm2-tools load a policy's signing key into a TPM, and so the Name that
/// policy_authorize() wants (with codec::object_name): nameAlg SHA-256, sign, decrypt and userWithAuth, no scheme, and
/// RSA's exponent written out where templates have 0 for 65537. Error (unsupported) for keys other than RSA.
Result<codec::TpmPublic> policy_key_public(const crypto::PublicKey& key);
codec::TpmPublic policy_key_public(Buffer modulus, std::uint32_t exponent);

}  // namespace ingot::measure
