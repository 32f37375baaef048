// Who a node is: the TPM it has, and the record that binds a node id to it.
#pragma once

#include <string>
#include <vector>

#include "ingot/model/digest.hpp"

namespace ingot {

/// What a TPM says of itself; nothing in it is trusted until a credential was activated. File format
/// "ingot-identity/1".
struct TpmIdentity {
  Buffer ek_public;              ///< TPMT_PUBLIC, raw
  Buffer ek_certificate;         ///< as NV holds it, padding included; may be empty
  std::vector<Buffer> ek_chain;  ///< certificates of its issuers that NV holds, DER, concatenated as they came
  Buffer ak_public;              ///< TPMT_PUBLIC, raw
  std::string machine_id;        ///< as /etc/machine-id says (machine-id(5)); may be empty
  bool operator==(const TpmIdentity&) const = default;
};

/// A secret that only the TPM of one identity can open. File format "ingot-challenge/1".
struct EnrolmentChallenge {
  std::string node;
  Buffer ek_public;         ///< which endorsement key it is for
  Buffer ak_public;         ///< which attestation key the secret is bound to
  Buffer id_object;         ///< content of a TPM2B_ID_OBJECT
  Buffer encrypted_secret;  ///< content of a TPM2B_ENCRYPTED_SECRET
  bool operator==(const EnrolmentChallenge&) const = default;
};

/// The opened secret. File format "ingot-activation/1".
struct EnrolmentActivation {
  std::string node;
  Buffer secret;
  bool operator==(const EnrolmentActivation&) const = default;
};

/// What the verifier keeps between challenge and activation: no secret, but nobody else's to change. File format
/// "ingot-pending/1".
struct PendingEnrolment {
  std::string node;
  TpmIdentity identity;
  Buffer secret_sha256;
  std::string trusted_by;          ///< "EK certificate issued by CN=...", "allow-list"
  std::vector<std::string> notes;  ///< rules that had to be bent, by name
  bool pin_machine_id = false;     ///< the record is to hold identity.machine_id
  bool operator==(const PendingEnrolment&) const = default;
};

/// A node id bound to a TPM and its attestation key. Signed; predicate type "https://ingot.dev/enrolment/v1".
struct Enrolment {
  std::string node;
  std::string ek_sha256;  ///< of the endorsement key's SubjectPublicKeyInfo, hexadecimal
  Buffer ak_public;       ///< TPMT_PUBLIC, raw
  std::string trusted_by;
  std::vector<std::string> notes;
  std::string machine_id = {};  ///< that the node must measure into PCR 15, 32 hexadecimal digits; empty: any
  bool operator==(const Enrolment&) const = default;
};

}  // namespace ingot
