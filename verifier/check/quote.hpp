// The quote: does the TPM vouch for the PCR values and logs handed over? Internal to check/.
#pragma once

#include "ingot/codec/tpm.hpp"
#include "ingot/model/evidence.hpp"
#include "ingot/model/finding.hpp"

namespace ingot::check {

/// A TPM's key, ready to verify with.
struct AttestationKey {
  codec::TpmPublic area;
  Result<crypto::PublicKey> handle;
};
/// Error (malformed): no TPMT_PUBLIC.
Result<AttestationKey> decode_attestation_key(Bytes ak_public);

struct QuoteResult {
  std::vector<Finding> findings;
  std::vector<std::string> notes;
  std::optional<codec::TpmClock> clock;  ///< only when the signature is valid
};

/// `banks` are those that the quote must cover, PCR 0 to 15 of each, no more and no fewer. `key`: of
/// evidence.ak_public; `binding`: codec::quote_binding() of the evidence.
QuoteResult check_quote(const Evidence& evidence, const Result<AttestationKey>& key, Bytes binding,
                        const std::optional<Buffer>& nonce, const std::vector<HashAlg>& banks);

}  // namespace ingot::check
