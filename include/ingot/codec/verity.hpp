// dm-verity superblock, version 1. cryptsetup wiki, "DMVerity", "On-disk format".
#pragma once

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

struct VeritySuperblock {
  Guid uuid;                         ///< its text form is what veritysetup prints
  std::string algorithm = "sha256";  ///< at most 32 bytes
  std::uint32_t data_block_size = 4096;
  std::uint32_t hash_block_size = 4096;
  std::uint64_t data_blocks = 0;
  Buffer salt;  ///< at most 256 bytes
  bool operator==(const VeritySuperblock&) const = default;
};
inline constexpr std::size_t verity_superblock_size_bytes = 512;
/// 512 bytes. Precondition: `algorithm` has at most 32 bytes, `salt` at most 256.
Buffer encode_verity_superblock(const VeritySuperblock& superblock);
/// Takes exactly 512 bytes. Errors: another version or hash type, bytes where zeros belong, impossible sizes.
Result<VeritySuperblock> decode_verity_superblock(Bytes block);

}  // namespace ingot::codec
