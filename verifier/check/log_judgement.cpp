#include "log_judgement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "explain.hpp"
#include "ingot/check/grammar.hpp"
#include "ingot/codec/event_data.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"

namespace ingot::check {
namespace {

constexpr PcrIndex machine_pcr = 15;
/// The order in which findings help most: what names a component of the image, then what follows from it.
constexpr PcrIndex report_order[] = {11, 9, 12, 13, 14, 5, 8, 7, 4, 0, 1, 2, 3, 6};

/// The banks to judge: SHA-256 always, SHA-384 where it is active.
std::vector<HashAlg> judged_banks(const Evidence& evidence, const Logs& logs, LogJudgement::Part& verdict) {
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
  const Policy& policy;
  const Evidence& evidence;
  const Logs& logs;
  const std::vector<HashAlg>& banks;
  LogJudgement& out;
  bool with_chain = true;

  /// One PCR: its events, then its value in each bank. Either way of differing is a finding.
  void judge(PcrIndex pcr) {
    const auto& observed = logs.events_of(pcr);
    const auto alignment = align(policy.expected(pcr), observed);
    if (with_chain)
      for (const auto& pair : side_by_side(alignment, observed)) out.chain.push_back(link_of(pcr, pair));
    std::size_t found = 0;
    const auto report = [&](Finding finding) {
      finding.pcr = pcr;
      out.boot.findings.push_back(std::move(finding));
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
        out.boot.notes.push_back(fmt::format("pcr {}, {}: one of the allowed variants", pcr, step.expected->cause));
    for (const auto& [block, times] : alignment.taken)
      out.boot.notes.push_back(fmt::format("pcr {}: {} ({}x)", pcr, block, times));
    for (const auto bank : banks)
      if (auto finding = judge_value(bank, pcr, alignment, found != 0)) report(*std::move(finding));
  }

  [[nodiscard]] bool may_judge_events(PcrIndex pcr) const {
    const bool platform_pcr =
        pcr == 7 || std::find(std::begin(platform_pcrs), std::end(platform_pcrs), pcr) != std::end(platform_pcrs);
    return !platform_pcr || policy.golden().platform != nullptr;
  }

  [[nodiscard]] std::optional<Digest> expected_value(HashAlg bank, PcrIndex pcr, const Alignment& alignment) const {
    if (!may_judge_events(pcr)) return std::nullopt;
    const bool usual =
        alignment.taken.empty() && std::all_of(alignment.path.begin(), alignment.path.end(),
                                               [](const Alignment::Step& step) { return step.taken == nullptr; });
    if (usual) return policy.value(bank, pcr);
    std::vector<const Digests*> path;
    for (const auto& step : alignment.path) path.push_back(&digests_of(step));
    return replay_path(bank, pcr, policy.startup_locality(), path);
  }

  std::optional<Finding> judge_value(HashAlg bank, PcrIndex pcr, const Alignment& alignment, bool explained) {
    const auto wanted = expected_value(bank, pcr, alignment);
    const auto values = evidence.pcrs.find(bank);
    const bool has_value = values != evidence.pcrs.end() && values->second.contains(pcr);
    Verdict::PcrLine line{bank, pcr, wanted ? to_hex(*wanted) : "", has_value ? to_hex(values->second.at(pcr)) : ""};
    out.pcrs.push_back(line);
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
void check_replay(const Evidence& evidence, const Logs& logs, const std::vector<HashAlg>& banks,
                  LogJudgement::Part& verdict) {
  if (!logs.has_firmware_log()) {
    verdict.findings.push_back({FindingKind::log_problem, "event log", "a TCG event log", "none",
                                "the firmware or kernel gave no log, or it was withheld", Remedy::investigate});
    return;
  }
  for (const auto bank : banks) {
    const auto values = evidence.pcrs.find(bank);
    if (values == evidence.pcrs.end()) continue;
    const auto replayed = logs.replay(bank);
    for (const auto pcr : replayed_pcrs) {
      // It would extend nothing, and whatever it says would stand there unmeasured.
      for (const auto* event : logs.events_of(pcr))
        if (!event->digests.contains(bank) && logs.has_bank(bank))
          verdict.findings.push_back(
              {FindingKind::log_problem, fmt::format("pcr {}, {}", pcr, to_text(bank)),
               "a digest in each bank that is judged", shown("", event->digests),
               "a record without this bank's digest: it was not measured, and the log was edited", Remedy::investigate,
               pcr});
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

/// systemd-pcrmachine.service(8): "machine-id:" and the id are hashed as they are logged. A record that says it and
/// hashed something else lies.
void read_machine_ids(const Logs& logs, LogJudgement& out) {
  constexpr std::string_view prefix = "machine-id:";
  for (const auto* event : logs.events_of(machine_pcr)) {
    const auto text = as_text(event->data);
    if (!text.starts_with(prefix)) continue;
    if (codec::is_digest_of(*event, event->data))
      out.machine_ids.emplace_back(text.substr(prefix.size()));
    else
      out.boot.findings.push_back({FindingKind::log_problem, fmt::format("pcr {}, machine-id", machine_pcr),
                                   "the digest of what the record says", shown("", event->digests),
                                   "the record's text is not what was measured: the log was edited",
                                   Remedy::investigate, machine_pcr});
  }
}

std::optional<FirstOfNode> first_of_node(const Logs& logs) {
  const auto& events = logs.events_of(machine_pcr);
  if (events.empty()) return std::nullopt;
  const auto digest = events.front()->digests.find(HashAlg::sha256);
  return FirstOfNode{std::string(as_text(events.front()->data)),
                     digest == events.front()->digests.end() ? "" : to_hex(digest->second)};
}

/// What no habit of firmware explains is a finding; the rest is told.
void check_log_grammar(const Logs& logs, LogJudgement::Part& verdict) {
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

}  // namespace

LogJudgement judge_logs(const Policy& policy, const Evidence& evidence, const Logs& logs, bool with_chain) {
  LogJudgement out;
  out.banks = judged_banks(evidence, logs, out.bank);
  check_replay(evidence, logs, out.banks, out.boot);
  Judge judge{policy, evidence, logs, out.banks, out, with_chain};
  for (const auto pcr : report_order) judge.judge(pcr);
  check_log_grammar(logs, out.boot);
  read_machine_ids(logs, out);
  out.first = first_of_node(logs);
  std::stable_sort(out.pcrs.begin(), out.pcrs.end(),
                   [](const auto& a, const auto& b) { return std::pair(a.bank, a.pcr) < std::pair(b.bank, b.pcr); });
  return out;
}

}  // namespace ingot::check
