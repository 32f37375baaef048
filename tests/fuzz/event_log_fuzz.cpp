#include "fuzz.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto log = codec::decode_event_log(Bytes(data, size));
  if (!log) return 0;
  const auto again = codec::decode_event_log(codec::encode_event_log(*log));
  FUZZ_REQUIRE(again && *again == *log);
  (void)codec::replay(*log);
  for (const auto& event : log->events) FUZZ_REQUIRE(!codec::describe_event(event).component.empty());
  return 0;
}
