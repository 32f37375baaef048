#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::agent {

/// Collects logs, PCR values and a quote that fits them. Retries while something extends a PCR in between.
/// Errors: no TPM, no event log, a TPM that changes faster than it can be quoted.
Result<Evidence> gather(Buffer nonce, std::string node);

}  // namespace ingot::agent
