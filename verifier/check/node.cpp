#include "node.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tuple>

namespace ingot::check {
namespace {

std::string name_text(Bytes ak_public) {
  const auto name = codec::object_name(ak_public);
  return name ? to_hex(*name) : "a key that cannot be read";
}

void check_identity(const NodeQuestion& question, const Evidence& evidence, Verdict& verdict) {
  if (question.enrolment == nullptr) {
    verdict.notes.push_back(
        fmt::format("attestation key {}: that it belongs to this node's TPM is for enrolment to say",
                    name_text(evidence.ak_public)));
    return;
  }
  if (evidence.node != question.enrolment->node)
    verdict.findings.push_back({FindingKind::node_differs, "node", question.enrolment->node, evidence.node,
                                "the evidence is another node's, or of a node that does not know its name",
                                Remedy::investigate});
  // The names are computed here: one that a node sends could be any key's.
  if (evidence.ak_public != question.enrolment->ak_public)
    verdict.findings.push_back({FindingKind::key_not_enrolled, "attestation key",
                                name_text(question.enrolment->ak_public), name_text(evidence.ak_public),
                                "another TPM signed, or this one was cleared", Remedy::re_enrol});
}

/// Measured once, by systemd, before anything else of the node may write to the TPM. Who may later can add to PCR 15
/// and misname what was measured before it, but cannot take it back: the pin finds disks and boards that were
/// exchanged, and the attestation key says whose TPM it is.
void check_machine_id(const NodeQuestion& question, const std::vector<std::string>& measured, Verdict& verdict) {
  const auto text = measured.empty() ? std::string("none was measured") : fmt::format("{}", fmt::join(measured, ", "));
  if (question.enrolment == nullptr || question.enrolment->machine_id.empty()) {
    if (!measured.empty())
      verdict.notes.push_back(fmt::format("pcr 15: machine id {}; none is enrolled to compare it with", text));
    return;
  }
  if (measured == std::vector{question.enrolment->machine_id}) return;
  verdict.findings.push_back({FindingKind::node_differs, "pcr 15, machine-id", question.enrolment->machine_id, text,
                              "the node's file system or firmware is another machine's, or the id was made anew",
                              Remedy::re_enrol, 15});
}

void check_channel(const NodeQuestion& question, const Evidence& evidence, Verdict& verdict) {
  if (!question.channel_binding || *question.channel_binding == evidence.channel_binding) return;
  verdict.findings.push_back({FindingKind::channel_differs, "channel binding", to_hex(*question.channel_binding),
                              to_hex(evidence.channel_binding),
                              "the evidence came through another connection than this one: somebody relayed it",
                              Remedy::investigate});
}

/// Part 1, "Clock": resets count up for ever, restarts within a reset, the clock within a restart.
void check_clock(const NodeState& last, const codec::TpmClock& clock, Verdict& verdict) {
  const auto text = [](std::uint32_t resets, std::uint32_t restarts, std::uint64_t ms) {
    return fmt::format("{} resets, {} restarts, {} ms", resets, restarts, ms);
  };
  const bool forward =
      std::tie(clock.reset_count, clock.restart_count) > std::tie(last.reset_count, last.restart_count) ||
      (clock.reset_count == last.reset_count && clock.restart_count == last.restart_count &&
       clock.clock_ms >= last.clock_ms);
  if (forward) return;
  verdict.findings.push_back({FindingKind::clock_went_back, "TPM clock",
                              "at least " + text(last.reset_count, last.restart_count, last.clock_ms),
                              text(clock.reset_count, clock.restart_count, clock.clock_ms),
                              "an old quote, a TPM that was cleared, or a virtual TPM that was set back to a snapshot",
                              Remedy::investigate});
}

}  // namespace

void check_node(const NodeQuestion& question, const Evidence& evidence, const std::vector<std::string>& machine_ids,
                const codec::TpmClock& clock, Verdict& verdict) {
  check_identity(question, evidence, verdict);
  check_machine_id(question, machine_ids, verdict);
  check_channel(question, evidence, verdict);
  if (question.last != nullptr) check_clock(*question.last, clock, verdict);
  verdict.state = NodeState{evidence.node, clock.reset_count, clock.restart_count, clock.clock_ms, 0, {}};
}

}  // namespace ingot::check
