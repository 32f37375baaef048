#include "ingot/check/boot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "explain.hpp"
#include "ima.hpp"
#include "ingot/check/grammar.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/measure/uki.hpp"
#include "logs.hpp"
#include "node.hpp"
#include "quote.hpp"
#include "release.hpp"

namespace ingot::check {
namespace {

/// PCR 10 is IMA's and differs in each boot; 15 and above are never predictable.
constexpr PcrIndex judged_pcrs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14};
/// The order in which findings help most: what names a component of the image, then what follows from it.
constexpr PcrIndex report_order[] = {11, 9, 12, 13, 14, 5, 8, 7, 4, 0, 1, 2, 3, 6};

/// One judged PCR: expected events of platform and baseline in order.
using Expectations = std::map<PcrIndex, std::vector<const ExpectedEvent*>>;

Expectations expectations(const BootQuestion& question) {
  Expectations expected;
  for (const auto pcr : judged_pcrs) expected[pcr];
  if (question.platform != nullptr)
    for (const auto& event : question.platform->events) expected[event.pcr].push_back(&event);
  for (const auto& event : question.baseline->events) {
    auto& list = expected[event.pcr];
    // An authority is measured once per boot (TCG PFP 1.06, "EV_EFI_VARIABLE_AUTHORITY"): firmware may have used the
    // same certificate for an option ROM already.
    const bool seen = event.type == EventType::EV_EFI_VARIABLE_AUTHORITY &&
                      std::any_of(list.begin(), list.end(),
                                  [&](const auto* one) { return same_digests(one->digests, event.digests); });
    if (!seen) list.push_back(&event);
  }
  return expected;
}

/// An empty policy never passes: each PCR that always has events must have expected ones.
void check_policy(const BootQuestion& question, const Expectations& expected, Verdict& verdict) {
  if (question.platform == nullptr)
    verdict.findings.push_back({FindingKind::pcr_missing, "platform", "expected events for PCR 0-3, 6 and 7",
                                "no platform was given", "without a platform the firmware's PCRs cannot be judged",
                                Remedy::update_platform});
  for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 11u}) {
    if (!expected.at(pcr).empty()) continue;
    const bool platform_pcr = pcr <= 3 || pcr == 6 || pcr == 7;
    if (platform_pcr && question.platform == nullptr) continue;
    verdict.findings.push_back({FindingKind::pcr_missing, fmt::format("pcr {}", pcr), "at least one expected event",
                                "none",
                                fmt::format("the {} expects nothing of this PCR, so nothing can match it",
                                            platform_pcr ? "platform" : "baseline"),
                                platform_pcr ? Remedy::update_platform : Remedy::redeploy});
  }
}

/// The banks to judge: SHA-256 always, SHA-384 where it is active.
std::vector<HashAlg> judged_banks(const Evidence& evidence, const Logs& logs, Verdict& verdict) {
  std::vector<HashAlg> banks = {HashAlg::sha256};
  if (!evidence.pcrs.contains(HashAlg::sha256))
    verdict.findings.push_back({FindingKind::bank_missing, "bank sha256", "active", "no values in the evidence",
                                "the TPM's SHA-256 bank is switched off", Remedy::investigate});
  if (logs.has_firmware_log() && !logs.has_bank(HashAlg::sha256))
    verdict.findings.push_back({FindingKind::bank_missing, "event log, bank sha256", "digests for each event", "none",
                                "the firmware logs no SHA-256 digests", Remedy::investigate});
  if (evidence.pcrs.contains(HashAlg::sha384) || logs.has_bank(HashAlg::sha384))
    banks.push_back(HashAlg::sha384);
  else
    verdict.notes.push_back("the SHA-384 bank is not active");
  return banks;
}

/// Values that the expected events replay to in one bank, blocks as often as this boot took them. Nothing when an
/// expected event has no digest for the bank.
std::optional<Buffer> expected_value(HashAlg bank, PcrIndex pcr, const std::vector<Alignment::Step>& path,
                                     std::uint8_t locality) {
  Buffer value = codec::pcr_start_value(bank, pcr, locality);
  for (const auto& step : path) {
    const auto& digests = digests_of(step);
    const auto digest = digests.find(bank);
    if (digest == digests.end() || digest->second.size() != value.size()) return std::nullopt;
    value = codec::extend(bank, value, digest->second);
  }
  return value;
}

std::string shown(const std::string& text, const Digests& digests) {
  if (!text.empty()) return text;
  const auto digest = digests.find(HashAlg::sha256);
  return digest == digests.end() ? "" : to_hex(digest->second);
}

Verdict::Link link_of(PcrIndex pcr, const Pair& pair) {
  using State = Verdict::LinkState;
  Verdict::Link link{pcr, {}, {}, {}, State::matches};
  if (pair.expected != nullptr) {
    link.cause = pair.expected->cause;
    link.expected = shown(pair.expected->text, pair.expected->digests);
    link.state = State::missing;
  }
  if (pair.observed == nullptr) return link;
  if (pair.expected != nullptr && same_digests(pair.expected->digests, pair.observed->digests)) {
    link.observed = link.expected;  // one digest, one meaning
    link.state = State::matches;
    return link;
  }
  const auto described = codec::describe_event(*pair.observed);
  // Text that no digest vouches for may be anybody's.
  link.observed = shown(described.vouched ? described.text : "", pair.observed->digests);
  if (pair.expected == nullptr) {
    link.cause = described.component;
    link.state = State::unexpected;
  } else {
    link.state = matches(*pair.expected, *pair.observed) ? State::variant : State::differs;
  }
  return link;
}

struct Judge {
  const BootQuestion& question;
  const Evidence& evidence;
  const Logs& logs;
  const std::vector<HashAlg>& banks;
  Verdict& verdict;

  /// One PCR: its events, then its value in each bank. Either way of differing is a finding.
  void judge(PcrIndex pcr, const std::vector<const ExpectedEvent*>& expected) {
    const auto observed = logs.events_of(pcr);
    const auto alignment = align(expected, observed);
    for (const auto& pair : side_by_side(alignment, observed)) verdict.chain.push_back(link_of(pcr, pair));
    std::size_t found = 0;
    const auto report = [&](Finding finding) {
      finding.pcr = pcr;
      verdict.findings.push_back(std::move(finding));
      ++found;
    };
    if (alignment.difference && logs.has_firmware_log() && may_judge_events(pcr))
      report(explain(pcr, *alignment.difference, evidence));
    for (const auto& [wanted, event] : alignment.relabelled)
      report({FindingKind::log_problem, fmt::format("pcr {}, {}", pcr, wanted->cause), to_text(wanted->type),
              to_text(event->type), "the event's type was changed: the log was edited after it was written",
              Remedy::investigate});
    for (const auto& step : alignment.path)
      if (step.taken != nullptr)
        verdict.notes.push_back(fmt::format("pcr {}, {}: one of the allowed variants", pcr, step.expected->cause));
    for (const auto& [block, times] : alignment.taken)
      verdict.notes.push_back(fmt::format("pcr {}: {} ({}x)", pcr, block, times));
    for (const auto bank : banks)
      if (auto finding = judge_value(bank, pcr, alignment.path, found != 0)) report(*std::move(finding));
  }

  [[nodiscard]] bool may_judge_events(PcrIndex pcr) const {
    const bool platform_pcr =
        pcr == 7 || std::find(std::begin(platform_pcrs), std::end(platform_pcrs), pcr) != std::end(platform_pcrs);
    return !platform_pcr || question.platform != nullptr;
  }

  std::optional<Finding> judge_value(HashAlg bank, PcrIndex pcr, const std::vector<Alignment::Step>& path,
                                     bool explained) {
    const auto locality = question.platform == nullptr ? std::uint8_t{0} : question.platform->startup_locality;
    const auto wanted = may_judge_events(pcr) ? expected_value(bank, pcr, path, locality) : std::nullopt;
    const auto values = evidence.pcrs.find(bank);
    const bool has_value = values != evidence.pcrs.end() && values->second.contains(pcr);
    Verdict::PcrLine line{bank, pcr, wanted ? to_hex(*wanted) : "", has_value ? to_hex(values->second.at(pcr)) : ""};
    verdict.pcrs.push_back(line);
    if (!has_value)
      return Finding{FindingKind::pcr_missing,
                     fmt::format("pcr {}, {}", pcr, to_text(bank)),
                     line.expected,
                     "no value",
                     "the evidence does not tell this PCR's value",
                     Remedy::investigate};
    if (!may_judge_events(pcr)) return std::nullopt;  // the missing platform is a finding already
    if (!wanted)
      return Finding{FindingKind::bank_missing,
                     fmt::format("pcr {}, {}", pcr, to_text(bank)),
                     "a predicted value",
                     "none",
                     "platform or baseline was made without this bank, which is active on the node",
                     Remedy::update_platform};
    if (line.expected == line.observed || explained) return std::nullopt;
    return explain_value(pcr, bank, line.expected, line.observed);
  }
};

/// The logs must lead to the values that the TPM signed, in every bank; otherwise they are only a story.
void check_replay(const Evidence& evidence, const Logs& logs, const std::vector<HashAlg>& banks, Verdict& verdict) {
  if (!logs.has_firmware_log()) {
    verdict.findings.push_back({FindingKind::log_problem, "event log", "a TCG event log", "none",
                                "the firmware or kernel gave no log, or it was withheld", Remedy::investigate});
    return;
  }
  for (const auto bank : banks) {
    const auto values = evidence.pcrs.find(bank);
    if (values == evidence.pcrs.end()) continue;
    const auto replayed = logs.replay(bank);
    for (const auto pcr : judged_pcrs) {
      const auto quoted = values->second.find(pcr);
      if (quoted == values->second.end() || replayed.at(pcr) == quoted->second) continue;
      verdict.findings.push_back(
          {FindingKind::log_replay_differs, fmt::format("pcr {}, {}", pcr, to_text(bank)), to_hex(quoted->second),
           to_hex(replayed.at(pcr)),
           "the log is not the whole truth: events were cut, added or changed, or the PCR was extended without logging",
           Remedy::investigate, pcr});
    }
  }
}

/// What no habit of firmware explains is a finding; the rest is told.
void check_log_grammar(const Logs& logs, Verdict& verdict) {
  if (!logs.has_firmware_log()) return;
  std::set<std::string> habits;
  for (const auto& problem : check_grammar(logs.firmware())) {
    if (!problem.quirk.empty()) {
      habits.insert(problem.quirk);
      continue;
    }
    verdict.findings.push_back(
        {FindingKind::log_problem, fmt::format("event log, event {}, pcr {}", problem.event, problem.pcr),
         "the order and form that firmware measures in", fmt::format("{}: {}", to_text(problem.kind), problem.detail),
         "the log was edited, or the firmware has a habit that Ingot does not know", Remedy::investigate, problem.pcr});
  }
  for (const auto& name : habits) verdict.notes.push_back(fmt::format("event log: known firmware habit {}", name));
}

/// Did another known release boot? Judged by PCR 11 or by the UKI that PCR 4 holds, both as quoted.
std::optional<Finding> name_other_release(const BootQuestion& question, const Evidence& evidence, const Logs& logs) {
  const auto replays = [&](PcrIndex pcr) {
    const auto bank = evidence.pcrs.find(HashAlg::sha256);
    return bank != evidence.pcrs.end() && bank->second.contains(pcr) && logs.has_bank(HashAlg::sha256) &&
           logs.replay(HashAlg::sha256).at(pcr) == bank->second.at(pcr);
  };
  const auto booted = [&](const Baseline& release) {
    const auto wanted = release.pcrs.find(HashAlg::sha256);
    const auto quoted = evidence.pcrs.find(HashAlg::sha256);
    const auto same_value = [&](PcrIndex pcr) {
      return wanted != release.pcrs.end() && quoted != evidence.pcrs.end() && wanted->second.contains(pcr) &&
             quoted->second.contains(pcr) && wanted->second.at(pcr) == quoted->second.at(pcr);
    };
    if (same_value(11) || same_value(4)) return true;
    const auto loaded = logs.events_of(4);
    return replays(4) && std::any_of(loaded.begin(), loaded.end(), [&](const Event* event) {
             const auto digest = event->digests.find(HashAlg::sha256);
             return digest != event->digests.end() && to_hex(digest->second) == release.uki_authenticode_sha256;
           });
  };
  if (booted(*question.baseline)) return std::nullopt;
  for (const auto& release : question.other_releases)
    if (booted(release))
      return Finding{FindingKind::known_other_release,
                     "release",
                     fmt::format("{} version {}", question.baseline->profile, question.baseline->version),
                     fmt::format("{} version {}", release.profile, release.version),
                     release.version < question.baseline->version
                         ? "the node still runs an older release, or was set back to one"
                         : "the node runs a newer release than asked for",
                     Remedy::redeploy};
  return std::nullopt;
}

}  // namespace

Result<Verdict> check_boot(const BootQuestion& question, const Evidence& evidence) {
  if (question.baseline == nullptr) return fail(ErrorCode::internal, "check_boot() without a baseline");
  const auto logs = TRY(Logs::decode(evidence));
  Verdict verdict;
  verdict.profile = question.baseline->profile;
  verdict.version = question.baseline->version;
  // 1. Is there a policy, and which banks does it go for?
  const auto expected = expectations(question);
  const auto banks = judged_banks(evidence, logs, verdict);
  check_policy(question, expected, verdict);
  check_release(question, verdict);
  // 2. Does the TPM vouch for the values, and do the logs lead to them?
  auto quoted = check_quote(evidence, question.nonce, banks);
  std::move(quoted.findings.begin(), quoted.findings.end(), std::back_inserter(verdict.findings));
  std::move(quoted.notes.begin(), quoted.notes.end(), std::back_inserter(verdict.notes));
  if (quoted.clock) check_node(question, evidence, *quoted.clock, verdict);
  check_replay(evidence, logs, banks, verdict);
  // 3. Is each PCR what was predicted?
  Judge judge{question, evidence, logs, banks, verdict};
  for (const auto pcr : report_order) judge.judge(pcr, expected.at(pcr));
  check_log_grammar(logs, verdict);
  TRY(check_ima(question, evidence, banks, verdict));
  std::stable_sort(verdict.pcrs.begin(), verdict.pcrs.end(),
                   [](const auto& a, const auto& b) { return std::pair(a.bank, a.pcr) < std::pair(b.bank, b.pcr); });
  // 4. If not: is it a release that we know? Then that comes first.
  if (auto other = name_other_release(question, evidence, logs))
    verdict.findings.insert(verdict.findings.begin(), *std::move(other));
  return verdict;
}

}  // namespace ingot::check
