// dm-verity superblock, version 1. cryptsetup wiki, "DMVerity", "On-disk format".
#pragma once

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

struct VeritySuperblock {
  Guid uuid;  ///< its text form is what veritysetup prints
  std::string algorithm = "sha256";
  std::uint32_t data_block_size = 4096;
  std::uint32_t hash_block_size = 4096;
  std::uint64_t data_blocks = 0;
  Buffer salt;  ///< at most 256 bytes
};
inline constexpr std::size_t verity_superblock_size_bytes = 512;
Buffer encode_verity_superblock(const VeritySuperblock& superblock);
Result<VeritySuperblock> decode_verity_superblock(Bytes block);

}  // namespace ingot::codec
