// Which boots open a node's volumes: the policy under which their keys are sealed, from golden values alone.
#pragma once

#include <string>

#include "ingot/codec/tpm_object.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// PCR 11 as the PCR policy key signed it for the phase "enter-initrd", PCR 7 and PCR 15 by value. A new release that
/// is signed opens the same volumes; with other Secure Boot keys, other firmware settings, or out of the running
/// system (PCR 11 and 15 have gone on by then) nothing opens.
inline constexpr PcrIndex volume_pcrs[] = {7, 15};
inline constexpr PcrIndex volume_signed_pcrs[] = {11};
inline constexpr HashAlg volume_bank = HashAlg::sha256;

struct VolumePolicy {
  std::string policy_key_pem;  ///< whose signatures count: as it is in .pcrpkey
  Buffer digest;               ///< policyDigest of a SHA-256 session
  PcrValues by_value{};        ///< of volume_pcrs
};

/// The policy for an image on a class of machines. `policy_key` is the one that the image carries (pcr.pub of its key
/// folder). Errors: missing, an image without .pcrpkey, or events of PCR 7 that one of the two lacks; crypto, another
/// image's policy key; unsupported, a PCR 7 with more than one good value, or a key that is not RSA.
Result<VolumePolicy> volume_policy(const Baseline& baseline, const Platform& platform,
                                   const crypto::PublicKey& policy_key);

/// The policy of the second part of a volume's key, which its node adds: the release index (measure/revocation.hpp) and
/// the same PCRs by value.
Result<Buffer> index_policy(const VolumePolicy& policy, const codec::TpmNvPublic& index);

}  // namespace ingot::measure
