#include "fuzz.hpp"
#include "ingot/codec/baseline.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  if (const auto baseline = codec::decode_baseline_statement(bytes)) {
    const auto text = codec::encode_baseline_statement(*baseline);
    const auto again = codec::decode_baseline_statement(as_bytes(text));
    FUZZ_REQUIRE(again && *again == *baseline && codec::encode_baseline_statement(*again) == text);
  }
  if (const auto platform = codec::decode_platform_statement(bytes)) {
    const auto text = codec::encode_platform_statement(*platform);
    const auto again = codec::decode_platform_statement(as_bytes(text));
    FUZZ_REQUIRE(again && *again == *platform && codec::encode_platform_statement(*again) == text);
  }
  return 0;
}
