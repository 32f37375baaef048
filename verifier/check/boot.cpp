#include "ingot/check/boot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <list>
#include <unordered_map>

#include "ima.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/crypto/hash.hpp"
#include "log_judgement.hpp"
#include "node.hpp"
#include "policy.hpp"
#include "quote.hpp"
#include "release.hpp"

namespace ingot::check {
namespace {

/// An empty policy never passes: each PCR that always has events must have expected ones.
void check_policy(const Policy& policy, Verdict& verdict) {
  const bool has_platform = policy.golden().platform != nullptr;
  if (!has_platform)
    verdict.findings.push_back({FindingKind::pcr_missing, "platform", "expected events for PCR 0-3, 6 and 7",
                                "no platform was given", "without a platform the firmware's PCRs cannot be judged",
                                Remedy::update_platform});
  for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 11u}) {
    if (!policy.expected(pcr).empty()) continue;
    const bool platform_pcr = pcr <= 3 || pcr == 6 || pcr == 7;
    if (platform_pcr && !has_platform) continue;
    verdict.findings.push_back({FindingKind::pcr_missing, fmt::format("pcr {}", pcr), "at least one expected event",
                                "none",
                                fmt::format("the {} expects nothing of this PCR, so nothing can match it",
                                            platform_pcr ? "platform" : "baseline"),
                                platform_pcr ? Remedy::update_platform : Remedy::redeploy});
  }
}

/// Did another known release boot? Judged by PCR 11 or by the UKI that PCR 4 holds, both as quoted.
std::optional<Finding> name_other_release(const GoldenValues& golden, const Evidence& evidence, const Logs& logs) {
  const auto replayed = logs.replay(HashAlg::sha256);
  const auto replays = [&](PcrIndex pcr) {
    const auto bank = evidence.pcrs.find(HashAlg::sha256);
    return bank != evidence.pcrs.end() && bank->second.contains(pcr) && logs.has_bank(HashAlg::sha256) &&
           replayed.at(pcr) == bank->second.at(pcr);
  };
  const auto booted = [&](const Baseline& release) {
    const auto wanted = release.pcrs.find(HashAlg::sha256);
    const auto quoted = evidence.pcrs.find(HashAlg::sha256);
    const auto same_value = [&](PcrIndex pcr) {
      return wanted != release.pcrs.end() && quoted != evidence.pcrs.end() && wanted->second.contains(pcr) &&
             quoted->second.contains(pcr) && wanted->second.at(pcr) == quoted->second.at(pcr);
    };
    if (same_value(11) || same_value(4)) return true;
    const auto& loaded = logs.events_of(4);
    return replays(4) && std::any_of(loaded.begin(), loaded.end(), [&](const Event* event) {
             const auto digest = event->digests.find(HashAlg::sha256);
             return digest != event->digests.end() && to_hex(digest->second) == release.uki_authenticode_sha256;
           });
  };
  if (booted(*golden.baseline)) return std::nullopt;
  for (const auto& release : golden.other_releases)
    if (booted(release))
      return Finding{FindingKind::known_other_release,
                     "release",
                     fmt::format("{} version {}", golden.baseline->profile, golden.baseline->version),
                     fmt::format("{} version {}", release.profile, release.version),
                     release.version < golden.baseline->version
                         ? "the node still runs an older release, or was set back to one"
                         : "the node runs a newer release than asked for",
                     Remedy::redeploy};
  return std::nullopt;
}

/// A baseline that records no settings asks for no report.
void judge_settings(const Baseline& baseline, const Evidence& evidence, Verdict& verdict) {
  if (baseline.settings.empty()) return;
  if (!evidence.report) {
    verdict.findings.push_back({FindingKind::setting_missing, "report",
                                fmt::format("a report on {} settings", baseline.settings.size()), "none",
                                "the node did not report what is in force: its agent is older, or leaves it out",
                                Remedy::investigate, std::nullopt, baseline.settings.front().area});
    return;
  }
  for (const auto& setting : baseline.settings) ++verdict.settings_judged[setting.area];
  const auto findings = check_settings(baseline.settings, *evidence.report);
  verdict.findings.insert(verdict.findings.end(), findings.begin(), findings.end());
  verdict.notes.push_back(fmt::format(
      "{} settings were compared with what the node reports of itself; the TPM vouches for when and by whom "
      "it was said, not that it is true",
      baseline.settings.size()));
}

/// Which modules the image adds to the kernel's own: whoever trusts the node trusts their makers, too.
void name_modules(const Baseline& baseline, Verdict& verdict) {
  for (const auto& module : baseline.modules)
    verdict.notes.push_back(fmt::format("the image brings the out-of-tree module {}, SHA-256 {}, signed by \"{}\"",
                                        module.name, module.sha256, module.signer));
}

bool starts_with(Bytes bytes, Bytes beginning) {
  return bytes.size() >= beginning.size() && std::equal(beginning.begin(), beginning.end(), bytes.begin());
}

/// The values that a LogJudgement looks at: those of the PCRs that it replays, no bytes for one that is not there.
struct JudgedBank {
  HashAlg alg{};
  std::array<Digest, std::size(replayed_pcrs)> values;
  bool operator==(const JudgedBank&) const = default;
};
std::vector<JudgedBank> judged_values(const PcrValues& pcrs) {
  std::vector<JudgedBank> banks;
  banks.reserve(pcrs.size());
  for (const auto& [alg, values] : pcrs) {
    auto& bank = banks.emplace_back();
    bank.alg = alg;
    for (std::size_t i = 0; i < bank.values.size(); ++i) {
      const auto value = values.find(replayed_pcrs[i]);
      if (value != values.end()) bank.values[i] = value->second;
    }
  }
  return banks;
}

/// A boot whose logs and values were found clean.
struct KnownBoot {
  Buffer event_log, userspace_log;
  codec::LogDigests digests;  ///< of the two; `ima_log` is not used
  std::vector<JudgedBank> values;
  bool with_chain = false;
  LogJudgement judgement;
};
using SharedBoot = std::shared_ptr<const KnownBoot>;

/// What is kept of a node that was trusted.
struct KnownNode {
  Buffer ak_public;
  Result<AttestationKey> key;
  SharedBoot boot;
  Buffer ima_log;
  crypto::Hasher ima_hash;  ///< over `ima_log`
  ImaMemory ima;

  /// A boot that several nodes share is counted for each.
  [[nodiscard]] std::size_t size_bytes() const {
    constexpr std::size_t fixed = 16384;  // verdict lines, digests, keys
    return fixed + ima_log.capacity() + boot->event_log.size() + boot->userspace_log.size();
  }
};

/// What of a node's evidence came before.
struct Recalled {
  KnownNode* node = nullptr;
  SharedBoot boot;  ///< null: logs or values are new
  bool list_goes_on = false;
  crypto::Hasher ima_hash;  ///< over the whole list
  codec::LogDigests digests;
};

std::string boot_key(const codec::LogDigests& digests) {
  return std::string(as_text(digests.event_log)).append(as_text(digests.userspace_log));
}

}  // namespace

struct BootChecker::State {
  Policy policy;
  std::size_t memory_cap_bytes;
  std::size_t memory_bytes = 0;  ///< KnownNode::size_bytes() of all `nodes`
  std::list<KnownNode> nodes;    ///< the one seen last in front
  std::unordered_map<std::string_view, std::list<KnownNode>::iterator> by_key;  ///< by KnownNode::ak_public
  /// By the SHA-256 of both logs: nodes of one class often boot to the byte alike.
  std::unordered_map<std::string, std::weak_ptr<const KnownBoot>> boots;

  State(const GoldenValues& golden, std::size_t cap) : policy(golden), memory_cap_bytes(cap) {}

  KnownNode* find_node(Bytes ak_public) {
    const auto found = by_key.find(as_text(ak_public));
    if (found == by_key.end()) return nullptr;
    nodes.splice(nodes.begin(), nodes, found->second);
    return &nodes.front();
  }

  /// What came before is told by its bytes; what is new is hashed.
  Recalled recall(const NodeQuestion& question, const Evidence& evidence) {
    Recalled out{find_node(evidence.ak_public), nullptr, false, crypto::Hasher(HashAlg::sha256), {}};
    if (out.node != nullptr && evidence.event_log == out.node->boot->event_log &&
        evidence.userspace_log == out.node->boot->userspace_log) {
      out.boot = out.node->boot;
      out.digests = out.boot->digests;
    } else {
      out.digests.event_log = crypto::sha256(evidence.event_log);
      out.digests.userspace_log = crypto::sha256(evidence.userspace_log);
      const auto found = boots.find(boot_key(out.digests));
      if (found != boots.end()) out.boot = found->second.lock();
    }
    if (out.boot &&
        (judged_values(evidence.pcrs) != out.boot->values || (question.with_chain && !out.boot->with_chain)))
      out.boot = nullptr;
    out.list_goes_on = out.node != nullptr && starts_with(evidence.ima_log, out.node->ima_log);
    if (out.list_goes_on) out.ima_hash = crypto::Hasher(out.node->ima_hash);
    out.ima_hash.update(Bytes(evidence.ima_log).subspan(out.list_goes_on ? out.node->ima_log.size() : 0));
    out.digests.ima_log = crypto::Hasher(out.ima_hash).finish();
    return out;
  }

  /// Of a node that is trusted.
  void keep(Recalled recalled, const Evidence& evidence, std::optional<Result<AttestationKey>> key, ImaMemory ima) {
    if (recalled.node == nullptr) {
      nodes.push_front({evidence.ak_public, *std::move(key), nullptr, {}, recalled.ima_hash, {}});
      by_key[as_text(nodes.front().ak_public)] = nodes.begin();
    }
    auto& node = nodes.front();
    if (recalled.node != nullptr) memory_bytes -= node.size_bytes();
    if (node.boot != recalled.boot) boots[boot_key(recalled.digests)] = recalled.boot;
    node.boot = std::move(recalled.boot);
    const auto known = recalled.list_goes_on ? node.ima_log.size() : 0;
    node.ima_log.resize(known);
    node.ima_log.insert(node.ima_log.end(), evidence.ima_log.begin() + static_cast<std::ptrdiff_t>(known),
                        evidence.ima_log.end());
    node.ima_hash = std::move(recalled.ima_hash);
    node.ima = std::move(ima);
    memory_bytes += node.size_bytes();
    while (memory_bytes > memory_cap_bytes && !nodes.empty()) {
      memory_bytes -= nodes.back().size_bytes();
      by_key.erase(as_text(nodes.back().ak_public));
      nodes.pop_back();
    }
    // Boots that no node has any more; not at every turn.
    if (boots.size() > 2 * nodes.size() + 16)
      std::erase_if(boots, [](const auto& one) { return one.second.expired(); });
  }
};

BootChecker::BootChecker(const GoldenValues& golden, std::size_t memory_cap_bytes)
    : state_(std::make_unique<State>(golden, memory_cap_bytes)) {}
BootChecker::BootChecker(BootChecker&&) noexcept = default;
BootChecker& BootChecker::operator=(BootChecker&&) noexcept = default;
BootChecker::~BootChecker() = default;

Result<Verdict> BootChecker::check(const NodeQuestion& question, const Evidence& evidence) {
  const auto& policy = state_->policy;
  const auto& golden = policy.golden();
  auto recalled = state_->recall(question, evidence);
  std::optional<Logs> logs;
  if (!recalled.boot) {
    logs = TRY(Logs::decode(evidence));
    recalled.boot = std::make_shared<KnownBoot>(KnownBoot{evidence.event_log, evidence.userspace_log, recalled.digests,
                                                          judged_values(evidence.pcrs), question.with_chain,
                                                          judge_logs(policy, evidence, *logs, question.with_chain)});
  }
  const auto& judgement = recalled.boot->judgement;
  Verdict verdict;
  verdict.profile = golden.baseline->profile;
  verdict.version = golden.baseline->version;
  const auto add = [&](const LogJudgement::Part& part) {
    verdict.findings.insert(verdict.findings.end(), part.findings.begin(), part.findings.end());
    verdict.notes.insert(verdict.notes.end(), part.notes.begin(), part.notes.end());
  };
  // 1. Is there a policy, and which banks does it go for?
  add(judgement.bank);
  check_policy(policy, verdict);
  check_release(*golden.baseline, question, verdict);
  // 2. Does the TPM vouch for the values and the logs?
  std::optional<Result<AttestationKey>> new_key;
  if (recalled.node == nullptr) new_key = decode_attestation_key(evidence.ak_public);
  const auto quote = check_quote(evidence, new_key ? *new_key : recalled.node->key,
                                 codec::quote_binding(evidence, recalled.digests), question.nonce, judgement.banks);
  add({quote.findings, quote.notes});
  if (quote.clock) check_node(question, evidence, judgement.machine_ids, *quote.clock, verdict);
  // 3. Do the logs lead to the values, and is each PCR what was predicted?
  add(judgement.boot);
  verdict.pcrs = judgement.pcrs;
  if (question.with_chain) verdict.chain = judgement.chain;
  ImaMemory ima = recalled.list_goes_on ? recalled.node->ima : ImaMemory{};
  TRY(check_ima(policy, question, evidence, judgement.banks, ima, verdict));
  // 4. Is what the profile sets in force, by the node's own word?
  judge_settings(*golden.baseline, evidence, verdict);
  name_modules(*golden.baseline, verdict);
  check_volumes(golden, question, evidence, judgement.first, verdict);
  // 5. If the boot differs: is it a release that we know? Then that comes first.
  if (logs && !judgement.is_clean())
    if (auto other = name_other_release(golden, evidence, *logs))
      verdict.findings.insert(verdict.findings.begin(), *std::move(other));
  if (verdict.trusted()) state_->keep(std::move(recalled), evidence, std::move(new_key), std::move(ima));
  return verdict;
}

Result<Verdict> check_boot(const BootQuestion& question, const Evidence& evidence) {
  if (question.baseline == nullptr) return fail(ErrorCode::internal, "check_boot() without a baseline");
  return BootChecker(question).check(question, evidence);
}

}  // namespace ingot::check
