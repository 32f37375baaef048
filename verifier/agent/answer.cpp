#include "answer.hpp"

#include "gather.hpp"
#include "ingot/codec/evidence.hpp"

namespace ingot::agent {
namespace {

Result<std::string> evidence_for(Port& port, GatherOptions options) {
  auto question = TRY(port.read_question());
  options.nonce = std::move(question.nonce);
  // The one that was asked for: evidence says which question it answers, and enrolment who may answer it.
  if (!question.node.empty()) options.node = std::move(question.node);
  return codec::encode_evidence(TRY(gather(options)));
}

}  // namespace

Result<void> answer(Port& port, GatherOptions options) {
  auto evidence = evidence_for(port, std::move(options));
  if (evidence) return port.write_evidence(as_bytes(*evidence));
  port.write_error(describe(evidence.error()));
  return fail(std::move(evidence).error());
}

}  // namespace ingot::agent
