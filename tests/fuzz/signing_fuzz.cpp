#include "fuzz.hpp"
#include "ingot/codec/signing.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  if (const auto head = codec::decode_request_head(bytes)) {
    const auto line = codec::encode_request_head(*head);
    const auto again = codec::decode_request_head(as_bytes(line));
    FUZZ_REQUIRE(again && *again == *head && codec::encode_request_head(*again) == line);
  }
  if (const auto answer = codec::decode_signing_answer(bytes)) {
    const auto text = codec::encode_signing_answer(*answer);
    const auto again = codec::decode_signing_answer(as_bytes(text));
    FUZZ_REQUIRE(again && *again == *answer && codec::encode_signing_answer(*again) == text);
  }
  return 0;
}
