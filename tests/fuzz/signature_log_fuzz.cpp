#include "fuzz.hpp"
#include "ingot/codec/signature_log.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto log = codec::read_signature_log(Bytes(data, size));
  FUZZ_REQUIRE(log.entries.size() == log.heads.size());
  for (const auto& entry : log.entries) {
    const auto line = codec::encode_signature_entry(entry);
    FUZZ_REQUIRE(!line || codec::decode_signature_entry(*line).value() == entry);
  }
  return 0;
}
