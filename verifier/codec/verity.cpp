#include "ingot/codec/verity.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view signature{"verity\0\0", 8};
constexpr std::size_t algorithm_size = 32;
constexpr std::size_t salt_size_max = 256;

bool is_block_size(std::uint32_t size) { return size >= 512 && size <= 65536 && (size & (size - 1)) == 0; }

}  // namespace

Buffer encode_verity_superblock(const VeritySuperblock& superblock) {
  Writer out;
  out.text(signature).u32le(1).u32le(1).bytes(big_endian(superblock.uuid));
  out.text(superblock.algorithm).fill(algorithm_size - superblock.algorithm.size());
  out.u32le(superblock.data_block_size).u32le(superblock.hash_block_size).u64le(superblock.data_blocks);
  out.u16le(static_cast<std::uint16_t>(superblock.salt.size())).fill(6).bytes(superblock.salt);
  return out.fill(verity_superblock_size_bytes - out.size()).take();
}

Result<VeritySuperblock> decode_verity_superblock(Bytes block) {
  Reader in{block};
  const auto magic = in.bytes(signature.size());
  const std::uint32_t version = in.u32le();
  const std::uint32_t hash_type = in.u32le();
  const Bytes uuid = in.bytes(16);
  const Bytes algorithm = in.bytes(algorithm_size);
  VeritySuperblock superblock;
  superblock.data_block_size = in.u32le();
  superblock.hash_block_size = in.u32le();
  superblock.data_blocks = in.u64le();
  const std::uint16_t salt_size = in.u16le();
  in.skip(6);
  const Bytes salt = in.bytes(salt_size_max);
  const Bytes padding = in.bytes(168);
  if (!in.ok()) return fail(in.error());
  if (as_text(magic) != signature) in.fail_with("no verity superblock");
  if (version != 1 || hash_type != 1) in.fail_with(fmt::format("verity superblock version {}, hash type {}; 1 and 1 are handled", version, hash_type));
  if (!is_block_size(superblock.data_block_size) || !is_block_size(superblock.hash_block_size)) in.fail_with("verity block sizes are not powers of two from 512 to 65536");
  if (salt_size > salt_size_max) in.fail_with("the verity salt is larger than 256 bytes");
  if (std::any_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte != 0; })) in.fail_with("bytes in the verity superblock's padding");
  superblock.uuid = guid_from_big_endian(uuid);
  superblock.algorithm = std::string(as_text(algorithm));
  superblock.algorithm.erase(std::min(superblock.algorithm.find('\0'), superblock.algorithm.size()));
  if (in.ok()) superblock.salt = to_buffer(salt.first(salt_size));
  return in.finish(std::move(superblock));
}

}  // namespace ingot::codec
