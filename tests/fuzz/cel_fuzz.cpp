#include "fuzz.hpp"
#include "ingot/codec/cel.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  if (const auto records = codec::decode_cel_tlv(input)) {
    FUZZ_REQUIRE(codec::decode_cel_tlv(codec::encode_cel_tlv(*records)) == *records);
    (void)codec::split_cel(*records);
  }
  if (const auto records = codec::decode_cel_json(input)) {
    const auto text = codec::encode_cel_json(*records);
    const auto again = codec::decode_cel_json(as_bytes(text));
    FUZZ_REQUIRE(again && codec::encode_cel_json(*again) == text);
    (void)codec::split_cel(*records);
  }
  return 0;
}
