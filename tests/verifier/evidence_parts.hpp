// What a TPM would have signed for a piece of evidence, and what it would hold. For tests and for the bench.
#pragma once

#include "ingot/codec/event_log.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/codec/ima.hpp"
#include "ingot/codec/tpm.hpp"

namespace ingot::test {

inline codec::TpmQuote quote_of(const Evidence& evidence) {
  codec::TpmQuote quote;
  quote.qualified_signer = Buffer(34, 7);
  quote.extra_data = codec::quote_binding(evidence);
  quote.clock = {1000, 1, 0, true};
  for (const auto& [bank, values] : evidence.pcrs) {
    quote.selections.push_back({bank, {}});
    for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) quote.selections.back().pcrs.push_back(pcr);
  }
  quote.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, quote.selections, evidence.pcrs).value_or(Buffer(32));
  return quote;
}

/// Sets IMA's list, and PCR 10 to what it leads to.
inline void measure_files(Evidence& evidence, const std::vector<codec::ImaEntry>& list) {
  evidence.ima_log = codec::encode_ima(list);
  for (auto& [bank, values] : evidence.pcrs) {
    values[10] = Buffer(digest_size_bytes(bank), 0);
    for (const auto& entry : list) values[10] = codec::extend(bank, values[10], codec::ima_extend_value(bank, entry));
  }
}

}  // namespace ingot::test
