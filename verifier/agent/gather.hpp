#pragma once

#include <functional>

#include "ingot/base/result.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::agent {

struct GatherOptions {
  Buffer nonce;
  std::string node;
  Buffer channel_binding;                    ///< what ties the answer to the connection it goes through; may be empty
  codec::KeyKind key = codec::KeyKind::ecc;  ///< of the attestation key
  std::string tpm;                           ///< as TpmDevice::open() takes it
  std::function<NodeReport()> report;        ///< makes the node's report; none: there is nothing to report
};

/// Collects logs, PCR values and a quote that fits them. Retries while something extends a PCR in between.
/// Errors: no TPM, no event log, a TPM that changes faster than it can be quoted.
Result<Evidence> gather(const GatherOptions& options);

}  // namespace ingot::agent
