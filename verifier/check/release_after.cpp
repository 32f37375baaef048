#include "ingot/check/release_after.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/check/signed_image.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::check {
namespace {

constexpr PcrIndex secure_boot_pcr = 7;

Bytes content_of(const measure::EnrolledVariables& variables, std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() ? Bytes{} : Bytes(found->second.content);
}

Result<Digests> pcr_7(const std::vector<ExpectedEvent>& before, const Baseline& baseline) {
  std::vector<ExpectedEvent> events;
  for (const auto* part : {&before, &baseline.events})
    std::copy_if(part->begin(), part->end(), std::back_inserter(events),
                 [](const ExpectedEvent& event) { return event.pcr == secure_boot_pcr; });
  Digests values;
  for (const auto& [alg, bank] : measure::replay_expected(events, {}))
    if (const auto value = bank.find(secure_boot_pcr); value != bank.end()) values[alg] = value->second;
  return values;
}

}  // namespace

Result<ReleaseAfter> release_after(const ByteSource& uki, const Baseline& baseline,
                                   const measure::EnrolledVariables& variables, const Platform* platform) {
  if (to_hex(TRY(crypto::hash_source(HashAlg::sha256, uki))) != baseline.uki_sha256)
    return fail(ErrorCode::crypto, "the UKI is not the one that the baseline is of",
                "give the output folder as the build made it");
  const auto db = content_of(variables, "db");
  const auto judgement = TRY(judge_image(uki, TRY(codec::decode_pe(uki)), {db, content_of(variables, "dbx")}));
  ReleaseAfter out{judgement.accepted, judgement.reason, baseline, {}};
  if (!out.boots) return out;
  std::vector<ExpectedEvent*> authorities;
  for (auto& event : out.baseline.events)
    if (event.pcr == secure_boot_pcr) authorities.push_back(&event);
  if (authorities.size() != 1 || authorities.front()->type != EventType::EV_EFI_VARIABLE_AUTHORITY)
    return fail(ErrorCode::unsupported, "the baseline expects something else of PCR 7 than one authority",
                "only images whose UKI the firmware starts itself are planned for");
  *authorities.front() = TRY(measure::predict_authority(uki, db));
  const auto before =
      platform != nullptr ? platform->events : TRY(measure::secure_boot_events(measure::as_variables(variables)));
  out.pcr_7 = TRY(pcr_7(before, out.baseline));
  return out;
}

}  // namespace ingot::check
