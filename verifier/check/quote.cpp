#include "quote.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "ingot/codec/evidence.hpp"

namespace ingot::check {
namespace {

Finding quote_finding(FindingKind kind, std::string subject, std::string expected, std::string observed,
                      std::string cause) {
  return {kind, std::move(subject), std::move(expected), std::move(observed), std::move(cause), Remedy::investigate};
}

std::string selections_text(const codec::PcrSelections& selections) {
  std::string text;
  for (const auto& selection : selections) {
    if (selection.pcrs.empty()) continue;
    std::string list;
    for (std::size_t i = 0; i < selection.pcrs.size();) {
      std::size_t end = i;
      while (end + 1 < selection.pcrs.size() && selection.pcrs[end + 1] == selection.pcrs[end] + 1) ++end;
      list += fmt::format("{}{}", list.empty() ? "" : ",", selection.pcrs[i]);
      if (end > i) list += fmt::format("-{}", selection.pcrs[end]);
      i = end + 1;
    }
    text += fmt::format("{}{}:{}", text.empty() ? "" : " + ", to_text(selection.bank), list);
  }
  return text.empty() ? "nothing" : text;
}

codec::PcrSelections needed_selections(const std::vector<HashAlg>& banks) {
  codec::PcrSelections needed;
  for (const auto bank : banks) {
    codec::PcrSelection selection{bank, {}};
    for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) selection.pcrs.push_back(pcr);
    needed.push_back(std::move(selection));
  }
  return needed;
}

/// Bank by bank; an empty selection of a bank is none, and one bank twice is never right.
std::optional<std::map<HashAlg, std::vector<PcrIndex>>> by_bank(const codec::PcrSelections& selections) {
  std::map<HashAlg, std::vector<PcrIndex>> banks;
  for (const auto& selection : selections)
    if (!selection.pcrs.empty() && !banks.emplace(selection.bank, selection.pcrs).second) return std::nullopt;
  return banks;
}

/// Only a restricted key cannot be made to sign a forged TPMS_ATTEST (Part 1, "Restricted Signing Keys").
std::optional<Finding> check_key(const codec::TpmPublic& key) {
  namespace attribute = codec::object_attribute;
  constexpr std::uint32_t needed = attribute::fixed_tpm | attribute::restricted | attribute::sign_encrypt;
  if ((key.attributes & needed) == needed && (key.attributes & attribute::decrypt) == 0) return std::nullopt;
  return quote_finding(FindingKind::quote_invalid, "attestation key", "fixedTPM, restricted, sign, not decrypt",
                       fmt::format("object attributes 0x{:08x}", key.attributes),
                       "the key is not an attestation key: with it, software could sign what no TPM said");
}

void check_freshness(const Evidence& evidence, Bytes binding, const codec::TpmQuote& quote,
                     const std::optional<Buffer>& nonce, QuoteResult& out) {
  if (!nonce)
    out.notes.push_back("freshness was not checked: no nonce was given");
  else if (*nonce != evidence.nonce)
    out.findings.push_back(quote_finding(FindingKind::quote_nonce_differs, "nonce", to_hex(*nonce),
                                         to_hex(evidence.nonce),
                                         "the evidence answers another question: it may be an old one played again"));
  if (!std::equal(quote.extra_data.begin(), quote.extra_data.end(), binding.begin(), binding.end()))
    out.findings.push_back(quote_finding(
        FindingKind::quote_nonce_differs, "qualifying data", to_hex(binding), to_hex(quote.extra_data),
        "the quote was not made for this nonce, node and these logs: something was replaced after the TPM signed"));
}

void check_selection(const Evidence& evidence, const codec::TpmQuote& quote, HashAlg scheme_hash,
                     const std::vector<HashAlg>& banks, QuoteResult& out) {
  const auto needed = needed_selections(banks);
  if (by_bank(quote.selections) != by_bank(needed))
    out.findings.push_back(quote_finding(FindingKind::quote_selection_differs, "PCR selection", selections_text(needed),
                                         selections_text(quote.selections),
                                         "PCRs outside the quote could hold anything"));
  const auto digest = codec::quoted_pcr_digest(scheme_hash, quote.selections, evidence.pcrs);
  if (!digest)
    out.findings.push_back(quote_finding(FindingKind::pcr_missing, "PCR values", selections_text(quote.selections),
                                         digest.error().message, "the evidence lacks a value that the quote covers"));
  else if (*digest != quote.pcr_digest)
    out.findings.push_back(quote_finding(FindingKind::quote_pcrs_differ, "PCR values", to_hex(quote.pcr_digest),
                                         to_hex(*digest),
                                         "the PCR values handed over are not the ones that the TPM signed"));
}

}  // namespace

Result<AttestationKey> decode_attestation_key(Bytes ak_public) {
  auto area = TRY(codec::decode_tpm_public(ak_public));
  auto handle = codec::public_key(area);
  return AttestationKey{std::move(area), std::move(handle)};
}

QuoteResult check_quote(const Evidence& evidence, const Result<AttestationKey>& key, Bytes binding,
                        const std::optional<Buffer>& nonce, const std::vector<HashAlg>& banks) {
  QuoteResult out;
  const auto reject = [&](FindingKind kind, std::string subject, std::string expected, std::string observed,
                          std::string cause) {
    out.findings.push_back(
        quote_finding(kind, std::move(subject), std::move(expected), std::move(observed), std::move(cause)));
    return out;
  };
  // 1. The parts are there and can be read.
  if (evidence.quote_attest.empty() || evidence.quote_signature.empty() || evidence.ak_public.empty())
    return reject(FindingKind::quote_missing, "quote", "a quote, its signature and the key's public part",
                  "not all of them",
                  "nothing vouches for the PCR values: the node's TPM did not sign, or the agent could not reach it");
  if (!key)
    return reject(FindingKind::quote_invalid, "attestation key", "TPMT_PUBLIC", describe(key.error()),
                  "the key cannot be read");
  const auto signature = codec::decode_tpm_signature(evidence.quote_signature);
  if (!signature)
    return reject(FindingKind::quote_invalid, "signature", "TPMT_SIGNATURE", describe(signature.error()),
                  "the signature cannot be read");
  const auto quote = codec::decode_tpm_quote(evidence.quote_attest);
  if (!quote)
    return reject(FindingKind::quote_invalid, "quote", "TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE",
                  describe(quote.error()), "what was signed is no quote");
  // 2. The key is fit for it, and signed these bytes.
  if (auto finding = check_key(key->area)) out.findings.push_back(*std::move(finding));
  if (signature->scheme.hash == HashAlg::sha1)
    return reject(FindingKind::quote_invalid, "signature", "a hash of 256 bits or more", "sha1",
                  "signatures over SHA-1 can be forged");
  const auto verify = [&]() -> Result<void> {
    return codec::verify_tpm_signature(key->area, TRY(Result<crypto::PublicKey>(key->handle)), *signature,
                                       evidence.quote_attest);
  };
  if (const auto valid = verify(); !valid)
    return reject(FindingKind::quote_invalid, "signature", "a signature by the attestation key", valid.error().message,
                  "the quote was changed, or another key signed it");
  // 3. It answers our question, and covers what we need. Only now is its content worth a look.
  check_freshness(evidence, binding, *quote, nonce, out);
  check_selection(evidence, *quote, signature->scheme.hash, banks, out);
  if (!quote->clock.safe) out.notes.push_back("the TPM's clock may have gone back: it was not shut down in order");
  out.clock = quote->clock;
  return out;
}

}  // namespace ingot::check
