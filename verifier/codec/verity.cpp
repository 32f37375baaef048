#include "ingot/codec/verity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view signature{"verity\0\0", 8};
constexpr std::uint32_t version_1 = 1;
constexpr std::uint32_t hash_type_normal = 1;  // 0 is Chromium OS's
constexpr std::size_t algorithm_size = 32;
constexpr std::size_t salt_size_max = 256;
/// The kernel's device sizes are signed 64-bit numbers of bytes.
constexpr std::uint64_t device_size_max = std::uint64_t{1} << 63;

bool is_block_size(std::uint32_t size) { return size >= 512 && size <= 65536 && std::has_single_bit(size); }

bool is_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

/// What is wrong with the values; empty when nothing is.
std::string problem_of(const VeritySuperblock& superblock) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7F'; };
  if (superblock.algorithm.empty() || !std::all_of(superblock.algorithm.begin(), superblock.algorithm.end(), printable))
    return "the verity superblock's algorithm is not a name";
  if (!is_block_size(superblock.data_block_size) || !is_block_size(superblock.hash_block_size))
    return "verity block sizes are not powers of two from 512 to 65536";
  if (superblock.data_blocks == 0 || superblock.data_blocks > device_size_max / superblock.data_block_size)
    return "the verity superblock's number of data blocks is impossible";
  return {};
}

}  // namespace

Buffer encode_verity_superblock(const VeritySuperblock& superblock) {
  Writer out;
  out.text(signature).u32le(version_1).u32le(hash_type_normal).bytes(big_endian(superblock.uuid));
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
  const std::string_view algorithm = as_text(in.bytes(algorithm_size));
  VeritySuperblock superblock;
  superblock.data_block_size = in.u32le();
  superblock.hash_block_size = in.u32le();
  superblock.data_blocks = in.u64le();
  const std::uint16_t salt_size = in.u16le();
  const Bytes padding_1 = in.bytes(6);
  const Bytes salt = in.bytes(salt_size_max);
  const Bytes padding_2 = in.bytes(168);
  if (!in.ok()) return fail(in.error());
  if (as_text(magic) != signature) in.fail_with("no verity superblock");
  if (version != version_1 || hash_type != hash_type_normal)
    in.fail_with(fmt::format("verity superblock version {}, hash type {}; 1 and 1 are handled", version, hash_type));
  if (salt_size > salt_size_max) in.fail_with("the verity salt is larger than 256 bytes");
  if (!in.ok()) return fail(in.error());
  superblock.uuid = guid_from_big_endian(uuid);
  superblock.algorithm = algorithm.substr(0, algorithm.find('\0'));
  superblock.salt = to_buffer(salt.first(salt_size));
  // veritysetup writes zeros wherever there is nothing, and so one superblock has one encoding.
  if (!is_zero(padding_1) || !is_zero(padding_2) || !is_zero(salt.subspan(salt_size)) ||
      !is_zero(as_bytes(algorithm.substr(superblock.algorithm.size()))))
    in.fail_with("bytes in the verity superblock's padding");
  if (auto problem = problem_of(superblock); !problem.empty()) in.fail_with(std::move(problem));
  return in.finish(std::move(superblock));
}

}  // namespace ingot::codec
