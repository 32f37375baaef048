// draft-ietf-rats-ear; draft-ietf-rats-ar4si, "Trustworthiness Claims".
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "ingot/check/boot.hpp"

namespace ingot::check {
namespace {

constexpr const char* ear_profile = "tag:ietf.org,2026:rats/ear#05";
constexpr std::size_t least_nonce_bytes = 8, most_nonce_bytes = 64;  // RFC 9711, "eat_nonce"

// AR4SI: up to 31 affirming, up to 95 warning, up to 127 contraindicated; 0 makes no claim.
constexpr int affirming = 2;
constexpr int contraindicated = 96;
constexpr int unrecognized = 97;

constexpr const char* identity = "instance-identity";
constexpr const char* configuration = "configuration";
constexpr const char* executables = "executables";
constexpr const char* file_system = "file-system";
constexpr const char* hardware = "hardware";

/// Which claim a finding takes away: by kind, and for events by their PCR.
const char* claim_of(const Finding& finding) {
  switch (finding.kind) {
    case FindingKind::quote_invalid:
    case FindingKind::quote_nonce_differs:
    case FindingKind::quote_selection_differs:
    case FindingKind::quote_pcrs_differ:
    case FindingKind::quote_missing:
    case FindingKind::node_differs:
    case FindingKind::channel_differs:
    case FindingKind::key_not_enrolled:
    case FindingKind::clock_went_back:
      return identity;
    case FindingKind::file_differs:
    case FindingKind::file_unknown:
    case FindingKind::ima_replay_differs:
      return file_system;
    case FindingKind::setting_differs:
    case FindingKind::setting_missing:
    case FindingKind::setting_unexpected:
      return configuration;
    case FindingKind::known_other_release:
    case FindingKind::release_revoked:
    case FindingKind::release_expired:
    case FindingKind::release_older:
    case FindingKind::boot_refused:
    case FindingKind::image_differs:
    case FindingKind::signature_invalid:
      return executables;
    default:
      break;
  }
  constexpr PcrIndex of_hardware[] = {0, 2}, of_executables[] = {4, 9, 11, 13};
  const auto is_about = [&](const auto& pcrs) {
    return finding.pcr && std::find(std::begin(pcrs), std::end(pcrs), *finding.pcr) != std::end(pcrs);
  };
  if (is_about(of_hardware)) return hardware;
  if (is_about(of_executables)) return executables;
  return configuration;
}

const char* tier(int value) {
  if (value == 0) return "none";
  return value <= 31 ? "affirming" : value <= 95 ? "warning" : "contraindicated";
}

}  // namespace

std::string ear_claims(const Verdict& verdict, const EarTerms& terms) {
  // What was not judged makes no claim; what no finding takes away is affirmed.
  std::map<std::string, int> vector;
  if (!verdict.pcrs.empty()) vector = {{configuration, affirming}, {executables, affirming}, {hardware, affirming}};
  if (!terms.node.empty()) vector[identity] = affirming;
  if (verdict.files_judged != 0) vector[file_system] = affirming;
  for (const auto& finding : verdict.findings) {
    const char* claim = claim_of(finding);
    vector[claim] = claim == identity ? unrecognized : contraindicated;
  }
  int worst = verdict.trusted() ? affirming : contraindicated;
  for (const auto& [claim, value] : vector) worst = std::max(worst, value);
  auto findings = nlohmann::json::array();
  for (const auto& finding : verdict.findings)
    findings.push_back(
        {{"kind", to_text(finding.kind)}, {"subject", finding.subject}, {"remedy", to_text(finding.remedy)}});
  nlohmann::json appraisal{
      {"ear_status", tier(worst)},
      {"ear_trustworthiness_vector", vector},
      {"ear_appraisal_policy_ids", {fmt::format("ingot:{}:{}", verdict.profile, verdict.version)}},
      {"ear_verifier_claims", {{"profile", verdict.profile}, {"version", verdict.version}, {"findings", findings}}}};
  if (terms.nonce.size() >= least_nonce_bytes && terms.nonce.size() <= most_nonce_bytes)
    appraisal["eat_nonce"] = to_base64(terms.nonce);
  const nlohmann::json claims{
      {"eat_profile", ear_profile},
      {"iat", terms.issued_at},
      {"exp", terms.expires_at},
      {"ear_status", tier(worst)},
      {"ear_verifier_id", {{"developer", "Ingot"}, {"build", std::string("ingot ") + INGOT_VERSION}}},
      {"submods", {{terms.node.empty() ? "node" : terms.node, appraisal}}}};
  return claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ingot::check
