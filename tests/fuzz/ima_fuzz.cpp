#include "fuzz.hpp"
#include "ingot/codec/ima.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  if (const auto entries = codec::decode_ima(input)) FUZZ_REQUIRE(codec::encode_ima(*entries) == to_buffer(input));
  if (const auto entries = codec::decode_ima_ascii(input)) {
    const auto text = codec::encode_ima_ascii(*entries);
    const auto again = codec::decode_ima_ascii(as_bytes(text));
    FUZZ_REQUIRE(again && *again == *entries);
  }
  return 0;
}
