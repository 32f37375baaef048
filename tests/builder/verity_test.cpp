// The tree against a second, naive construction from the format's description; veritysetup judges it in tests/tool.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "ingot/base/output.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

constexpr std::size_t block = 4096;
const Guid uuid = make_guid("11111111-2222-3333-4444-555555555555");

TemporaryFolder scratch() { return TemporaryFolder::create("/tmp", "ingot-verity-test-").value(); }

Buffer data_of(std::size_t blocks) {
  Buffer data(blocks * block);
  std::uint32_t state = 1;
  for (auto& byte : data) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return data;
}

/// All hash blocks of one level, zero-padded.
Buffer level_over(Bytes data, Bytes salt) {
  Buffer out;
  for (std::size_t at = 0; at < data.size(); at += block) {
    const auto digest = crypto::Hasher(HashAlg::sha256).update(salt).update(data.subspan(at, block)).finish();
    out.insert(out.end(), digest.begin(), digest.end());
  }
  out.resize((out.size() + block - 1) / block * block);
  return out;
}

struct Expected {
  Buffer file;
  Buffer root_hash;
};
Expected naive(Bytes data, Bytes salt) {
  std::vector<Buffer> levels;
  for (Bytes below = data; below.size() > block; below = levels.back()) levels.push_back(level_over(below, salt));
  codec::VeritySuperblock superblock;
  superblock.uuid = uuid;
  superblock.data_blocks = data.size() / block;
  superblock.salt = to_buffer(salt);
  Expected out;
  out.file = codec::encode_verity_superblock(superblock);
  out.file.resize(block);
  for (auto level = levels.rbegin(); level != levels.rend(); ++level)
    out.file.insert(out.file.end(), level->begin(), level->end());
  const Buffer top = level_over(levels.empty() ? data : Bytes(levels.back()), salt);
  out.root_hash = to_buffer(Bytes(top).first(32));
  return out;
}

}  // namespace

TEST_CASE("verity: levels, padding and root hash follow the format") {
  const auto folder = scratch();
  const auto blocks = GENERATE(std::size_t{1}, 2u, 127u, 128u, 129u, 256u, 257u, 16384u, 16385u);
  const auto salt_bytes = GENERATE(std::size_t{0}, 32u, 256u);
  CAPTURE(blocks, salt_bytes);
  const auto data = data_of(blocks);
  const Buffer salt(salt_bytes, 0xA5);
  REQUIRE(write_file(folder.path() + "/data", data));
  const auto made = make_verity(folder.path() + "/data", salt, uuid, folder.path() + "/hash", silent_progress());
  REQUIRE(made);
  const auto expected = naive(data, salt);
  CHECK(made->root_hash == expected.root_hash);
  CHECK(made->superblock.data_blocks == blocks);
  CHECK(read_file(folder.path() + "/hash", 1u << 30).value() == expected.file);
}

TEST_CASE("verity: every byte of the data counts") {
  const auto folder = scratch();
  auto data = data_of(300);
  REQUIRE(write_file(folder.path() + "/data", data));
  const auto before =
      make_verity(folder.path() + "/data", Buffer(32, 1), uuid, folder.path() + "/hash", silent_progress());
  const auto at = GENERATE(std::size_t{0}, block, 127 * block + 4095, 299 * block + 17);
  data[at] ^= 1;
  REQUIRE(write_file(folder.path() + "/data", data));
  const auto after =
      make_verity(folder.path() + "/data", Buffer(32, 1), uuid, folder.path() + "/hash", silent_progress());
  REQUIRE(before);
  REQUIRE(after);
  CHECK(before->root_hash != after->root_hash);
}

TEST_CASE("verity: bad input is refused and leaves no file") {
  struct Row {
    const char* name;
    std::size_t data_bytes;
    std::size_t salt_bytes;
    ErrorCode code;
  };
  const auto row =
      GENERATE(Row{"empty data", 0, 32, ErrorCode::malformed}, Row{"half a block", block + 1, 32, ErrorCode::malformed},
               Row{"salt longer than its field", block, 257, ErrorCode::limit});
  CAPTURE(row.name);
  const auto folder = scratch();
  REQUIRE(write_file(folder.path() + "/data", Buffer(row.data_bytes)));
  const auto made =
      make_verity(folder.path() + "/data", Buffer(row.salt_bytes), uuid, folder.path() + "/hash", silent_progress());
  REQUIRE(!made);
  CHECK(made.error().code == row.code);
  CHECK(!file_source(folder.path() + "/hash"));
}
