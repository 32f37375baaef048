#include "ingot/codec/verity.hpp"

#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/base/writer.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

VeritySuperblock example() {
  VeritySuperblock superblock;
  superblock.uuid = make_guid("11223344-5566-7788-99aa-bbccddeeff00");
  superblock.data_blocks = 1000;
  superblock.salt = Buffer(32, 0xA5);
  return superblock;
}

// Offsets of the on-disk format.
constexpr std::size_t version_at = 8, hash_type_at = 12, algorithm_at = 32, data_block_size_at = 64,
                      hash_block_size_at = 68, data_blocks_at = 72, salt_size_at = 80, padding_1_at = 82, salt_at = 88,
                      padding_2_at = 344;

}  // namespace

TEST_CASE("verity: the layout is cryptsetup's, the UUID in the order of its text") {
  const auto block = encode_verity_superblock(example());
  REQUIRE(block.size() == verity_superblock_size_bytes);
  CHECK(to_hex(Bytes(block).first(32)) == "76657269747900000100000001000000112233445566778899aabbccddeeff00");
  CHECK(as_text(Bytes(block).subspan(algorithm_at, 7)) == std::string_view("sha256\0", 7));
  CHECK(to_hex(Bytes(block).subspan(data_block_size_at, 24)) ==
        "0010000000100000e803000000000000"
        "2000000000000000");
  CHECK(to_hex(Bytes(block).subspan(salt_at, 33)) == to_hex(Buffer(32, 0xA5)) + "00");
}

TEST_CASE("verity: what is encoded is decoded, every byte counts, no prefix is whole") {
  auto superblock = example();
  CHECK(decode_verity_superblock(encode_verity_superblock(superblock)) == superblock);
  const auto block = encode_verity_superblock(superblock);
  test::notices_every_byte(block, 0, block.size(), decode_verity_superblock);
  test::rejects_every_prefix(block, decode_verity_superblock);
  for (const std::size_t salt : {std::size_t{0}, std::size_t{1}, std::size_t{256}}) {
    superblock.salt = Buffer(salt, 0x11);
    CHECK(decode_verity_superblock(encode_verity_superblock(superblock)) == superblock);
  }
  superblock.algorithm = std::string(32, 'a');
  superblock.data_block_size = 512;
  superblock.hash_block_size = 65536;
  CHECK(decode_verity_superblock(encode_verity_superblock(superblock)) == superblock);
}

TEST_CASE("verity: damage is malformed") {
  struct Row {
    const char* name;
    std::size_t at;
    Buffer bytes;
    const char* said;
  };
  const auto u16 = [](std::uint16_t value) { return Writer{}.u16le(value).take(); };
  const auto u32 = [](std::uint32_t value) { return Writer{}.u32le(value).take(); };
  const auto u64 = [](std::uint64_t value) { return Writer{}.u64le(value).take(); };
  const Row rows[] = {
      {"another signature", 0, {'V'}, "no verity superblock"},
      {"version 2", version_at, u32(2), "version 2"},
      {"hash type 0", hash_type_at, u32(0), "hash type 0"},
      {"no algorithm", algorithm_at, Buffer(32), "not a name"},
      {"a control character in the algorithm", algorithm_at, {'\n'}, "not a name"},
      {"bytes behind the algorithm", algorithm_at + 10, {1}, "padding"},
      {"data blocks of 0", data_block_size_at, u32(0), "block sizes"},
      {"data blocks of 4095", data_block_size_at, u32(4095), "block sizes"},
      {"hash blocks of 256", hash_block_size_at, u32(256), "block sizes"},
      {"hash blocks of 128 KiB", hash_block_size_at, u32(131072), "block sizes"},
      {"no data", data_blocks_at, u64(0), "data blocks"},
      {"more data than 63 bits", data_blocks_at, u64((std::uint64_t{1} << 51) + 1), "data blocks"},
      {"a size that overflows", data_blocks_at, u64(~std::uint64_t{0}), "data blocks"},
      {"salt of 257 bytes", salt_size_at, u16(257), "salt"},
      {"salt of 65535 bytes", salt_size_at, u16(65535), "salt"},
      {"bytes behind the salt", salt_at + 40, {1}, "padding"},
      {"bytes in the first padding", padding_1_at, {1}, "padding"},
      {"bytes in the last padding", padding_2_at + 167, {1}, "padding"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto block = encode_verity_superblock(example());
    std::copy(row.bytes.begin(), row.bytes.end(), block.begin() + static_cast<std::ptrdiff_t>(row.at));
    const auto superblock = decode_verity_superblock(block);
    REQUIRE_FALSE(superblock);
    CHECK(superblock.error().code == ErrorCode::malformed);
    CHECK_THAT(superblock.error().message, Catch::Contains(row.said));
  }
  auto longer = encode_verity_superblock(example());
  longer.push_back(0);
  CHECK_FALSE(decode_verity_superblock(longer));
}
