#include "fuzz.hpp"
#include "ingot/codec/sbat.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = as_text(Bytes(data, size));
  const auto entries = codec::decode_sbat(text);
  if (!entries) return 0;
  // Components and generations are all that counts: a text of these alone says the same.
  std::string again;
  for (const auto& entry : *entries) again += entry.component + "," + std::to_string(entry.generation) + "\n";
  FUZZ_REQUIRE(codec::decode_sbat(again) == *entries);
  return 0;
}
