#include "fuzz.hpp"
#include "ingot/codec/verity.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes block(data, size);
  // One superblock has one encoding, so the bytes themselves come back.
  if (const auto superblock = codec::decode_verity_superblock(block))
    FUZZ_REQUIRE(codec::encode_verity_superblock(*superblock) == to_buffer(block));
  return 0;
}
