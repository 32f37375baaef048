// The TPM's identity: endorsement key, its certificate, attestation key; and the answer to a challenge.
#pragma once

#include "ingot/model/enrolment.hpp"
#include "tpm_device.hpp"

namespace ingot::agent {

struct FoundEndorsementKey {
  codec::EndorsementKey kind;
  Buffer certificate;  ///< as NV holds it; empty: the TPM has none
};
/// The first of codec::endorsement_keys() that has a certificate; the first of all when none has.
Result<FoundEndorsementKey> find_endorsement_key(TpmDevice& tpm);

Result<TpmIdentity> read_identity(TpmDevice& tpm, codec::KeyKind key);

/// Errors: the challenge is for another TPM, or for another attestation key than this TPM makes.
Result<EnrolmentActivation> activate(TpmDevice& tpm, const EnrolmentChallenge& challenge);

}  // namespace ingot::agent
