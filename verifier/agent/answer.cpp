#include "answer.hpp"

#include "gather.hpp"
#include "ingot/codec/evidence.hpp"

namespace ingot::agent {
namespace {

Result<std::string> evidence_for(Port& port, const std::string& node) {
  return codec::encode_evidence(TRY(gather(TRY(port.read_nonce()), node)));
}

}  // namespace

Result<void> answer(Port& port, const std::string& node) {
  auto evidence = evidence_for(port, node);
  if (evidence) return port.write_evidence(as_bytes(*evidence));
  port.write_error(describe(evidence.error()));
  return fail(std::move(evidence).error());
}

}  // namespace ingot::agent
