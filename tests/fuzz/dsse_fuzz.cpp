#include "fuzz.hpp"
#include "ingot/codec/dsse.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto envelope = codec::decode_dsse(Bytes(data, size));
  if (!envelope) return 0;
  const auto text = codec::encode_dsse(*envelope);
  const auto again = codec::decode_dsse(as_bytes(text));
  FUZZ_REQUIRE(again && again->payload == envelope->payload && again->payload_type == envelope->payload_type);
  FUZZ_REQUIRE(codec::encode_dsse(*again) == text);
  return 0;
}
