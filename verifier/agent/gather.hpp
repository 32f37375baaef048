#pragma once

#include "ingot/model/evidence.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

/// Collects logs, PCR values and a quote that fits them. Retries while something extends a PCR in between.
/// Errors: no TPM, no event log, a TPM that changes faster than it can be quoted.
Result<Evidence> gather(Buffer nonce, std::string node);

}  // namespace ingot::agent
