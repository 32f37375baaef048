// The quote: does the TPM vouch for the PCR values and logs handed over? Internal to check/.
#pragma once

#include "ingot/codec/tpm.hpp"
#include "ingot/model/evidence.hpp"
#include "ingot/model/finding.hpp"

namespace ingot::check {

struct QuoteResult {
  std::vector<Finding> findings;
  std::vector<std::string> notes;
  std::optional<codec::TpmClock> clock;  ///< only when the signature is valid
};

/// `banks` are those that the quote must cover, PCR 0 to 14 of each, no more and no fewer.
QuoteResult check_quote(const Evidence& evidence, const std::optional<Buffer>& nonce,
                        const std::vector<HashAlg>& banks);

}  // namespace ingot::check
