#include "fuzz.hpp"
#include "ingot/codec/event_log.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto events = codec::decode_userspace_log(Bytes(data, size));
  if (!events) return 0;
  const auto again = codec::decode_userspace_log(codec::encode_userspace_log(*events));
  FUZZ_REQUIRE(again && *again == *events);
  return 0;
}
