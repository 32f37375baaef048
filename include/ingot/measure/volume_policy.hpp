// Which boots open a node's volumes: the policy under which their keys are sealed, from golden values alone.
#pragma once

#include <string>

#include "ingot/crypto/certificate.hpp"
#include "ingot/measure/volume_binding.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

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

/// The same with another PCR 7: of the machine after a step of a rotation. Error (unsupported): a key that is not RSA.
Result<VolumePolicy> volume_policy(const Digest& pcr_7, const crypto::PublicKey& policy_key);

}  // namespace ingot::measure
