#include "fuzz.hpp"
#include "ingot/codec/any_log.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto log = codec::decode_any_log(Bytes(data, size));
  if (!log) return 0;
  const auto values = codec::replay(*log);
  if (!log->firmware) return 0;
  // CEL holds all that a log says, but for its header and events of no PCR.
  const auto records = codec::cel_records(*log->firmware, log->userspace, log->ima);
  const auto again = codec::decode_any_log(codec::encode_cel_tlv(records));
  // But for records that have no bank in common, which no event log can hold.
  FUZZ_REQUIRE(records.empty() || again || again.error().code == ErrorCode::unsupported);
  return 0;
}
