#include "fuzz.hpp"
#include "ingot/codec/nft.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ruleset = codec::decode_nft(Bytes(data, size));
  if (!ruleset) return 0;
  FUZZ_REQUIRE(codec::decode_nft(Bytes(data, size)) == *ruleset);
  for (const auto& table : ruleset->tables)
    for (const auto& chain : table.chains)
      for (const auto& rule : chain.rules) (void)codec::to_text(rule);
  return 0;
}
