#include "fuzz.hpp"
#include "ingot/codec/esl.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto lists = codec::decode_signature_lists(Bytes(data, size));
  if (lists) FUZZ_REQUIRE(codec::decode_signature_lists(codec::encode_signature_lists(*lists)) == *lists);
  return 0;
}
