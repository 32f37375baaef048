// Binding node ids to TPMs. TCG EK Credential Profile 2.5; TPM 2.0 Keys for Device Identity and Attestation.
#pragma once

#include <set>

#include "ingot/crypto/certificate.hpp"
#include "ingot/model/enrolment.hpp"

namespace ingot::fleet {

/// Whose TPMs are let in. At least one of the two must name something.
struct EnrolmentPolicy {
  std::vector<crypto::Certificate> roots;   ///< TPM makers' certificate authorities, intermediate ones included
  std::set<std::string> allowed_ek_sha256;  ///< endorsement keys by SHA-256 of their SubjectPublicKeyInfo, hexadecimal
  std::int64_t now = 0;                     ///< seconds since 1970
  /// The node must always measure the machine id that it has now: for images in which that is the same at each boot.
  bool pin_machine_id = false;
};

/// Letters, digits, '.', '_' and '-', at most 128, the first a letter or digit: a node id is a file name, too.
Result<void> check_node_id(std::string_view node);

/// SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal.
Result<std::string> endorsement_key_sha256(Bytes tpmt_public);

struct StartedEnrolment {
  PendingEnrolment pending;
  EnrolmentChallenge challenge;
};
/// Errors (crypto): an endorsement key that the policy does not know, one that its certificate is not about, keys that
/// are not made from the templates; (usage) an empty policy, a node id that is none.
Result<StartedEnrolment> start_enrolment(const std::string& node, const TpmIdentity& identity,
                                         const EnrolmentPolicy& policy);

/// Error (crypto): the activation's secret is not the challenge's, or it is for another node.
Result<Enrolment> finish_enrolment(const PendingEnrolment& pending, const EnrolmentActivation& activation);

/// Error (crypto) when the node id is bound to another TPM already, or the TPM to another node id. The same binding
/// again is no error: an attestation key may change when a TPM's firmware does.
Result<void> check_bound_once(const std::vector<Enrolment>& known, const Enrolment& fresh);

}  // namespace ingot::fleet
