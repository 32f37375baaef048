// Under which policies a volume's key lies in its node's TPM: what the node itself can compute, too, from PCR values.
#pragma once

#include "ingot/codec/tpm_object.hpp"

namespace ingot::measure {

/// PCR 11 as the PCR policy key signed it for the phase "enter-initrd", PCR 7 and PCR 15 by value. A new release that
/// is signed opens the same volumes; with other Secure Boot keys, other firmware settings, or out of the running
/// system (PCR 11 and 15 have gone on by then) nothing opens.
inline constexpr PcrIndex volume_pcrs[] = {7, 15};
inline constexpr PcrIndex volume_signed_pcrs[] = {11};
inline constexpr HashAlg volume_bank = HashAlg::sha256;

/// Of volume_pcrs before the first volume is open, when nothing has been measured into PCR 15.
PcrValues volume_values(const Digest& pcr_7);

/// The policy of the first part of a volume's key, policyDigest of a SHA-256 session. `key_name`: codec::object_name()
/// of policy_key_public(). Error (missing): `by_value` lacks one of volume_pcrs.
Result<Buffer> signed_policy(const PcrValues& by_value, Bytes key_name);
/// Of the second part, which its node adds: the release index (measure/revocation.hpp) and the same PCRs by value.
Result<Buffer> index_policy(const PcrValues& by_value, const codec::TpmNvPublic& index);

}  // namespace ingot::measure
