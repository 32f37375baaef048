#include "fuzz.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/evidence.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto evidence = codec::decode_evidence(Bytes(data, size));
  if (!evidence) return 0;
  const auto again = codec::decode_evidence(as_bytes(codec::encode_evidence(*evidence)));
  FUZZ_REQUIRE(again && *again == *evidence);
  // Whatever a node hands over: with a policy that expects nothing it is never trusted, and nothing of it steers a
  // terminal.
  const Baseline baseline;
  check::BootQuestion question;
  question.baseline = &baseline;
  const auto verdict = check::check_boot(question, *evidence);
  if (!verdict) return 0;
  FUZZ_REQUIRE(!verdict->trusted());
  FUZZ_REQUIRE(check::render_verdict(*verdict).find('\x1B') == std::string::npos);
  (void)check::verdict_json(*verdict);
  (void)check::learn_platform(*evidence);
  return 0;
}
