// GUID partition tables. UEFI 2.10, "GUID Partition Table (GPT) Disk Layout". Logical blocks of 512 bytes.
#pragma once

#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"

namespace ingot::codec {

// UAPI group, Discoverable Partitions Specification.
inline constexpr Guid esp_type = make_guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
inline constexpr Guid root_x86_64_type = make_guid("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
inline constexpr Guid root_verity_x86_64_type = make_guid("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
inline constexpr Guid var_type = make_guid("4d21b016-b534-45c2-a9fb-5c16e091fd2d");
inline constexpr Guid linux_generic_type = make_guid("0fc63daf-8483-4772-8e79-3d69d8477de4");
/// Ours, and of no Discoverable Partitions Specification: nothing opens or mounts such a partition by itself.
inline constexpr Guid ingot_volume_type = make_guid("c9521cc9-0ab6-4fc8-98b9-a6ea4e3f0988");

struct GptPartition {
  Guid type;
  Guid unique;
  std::uint64_t first_lba = 0;
  std::uint64_t last_lba = 0;  ///< inclusive
  std::uint64_t attributes = 0;
  std::string name;  ///< at most 36 UTF-16 units
  bool operator==(const GptPartition&) const = default;
};
struct Gpt {
  Guid disk;
  std::uint64_t disk_size_lba = 0;
  std::vector<GptPartition> partitions;  ///< non-empty entries in table order; written from entry 0 without gaps
  bool operator==(const Gpt&) const = default;
};

inline constexpr std::uint64_t lba_size_bytes = 512;
inline constexpr std::uint64_t gpt_first_usable_lba = 34;

/// Protective MBR, primary header and 128 entries (LBA 0..33), and the backup (last 33 LBAs).
struct EncodedGpt {
  Buffer primary;  ///< 34 * 512 bytes, at LBA 0
  Buffer backup;   ///< 33 * 512 bytes, at disk_size_lba - 33
};
/// Errors: overlapping or out-of-range partitions, two of one unique GUID, names too long, no type, more than 128.
Result<EncodedGpt> encode_gpt(const Gpt& gpt);
/// Reads the primary table and checks both CRCs, the header's numbers against the disk, and the same of the partitions
/// as encode_gpt(). The backup is not read: firmware measures and uses the primary one.
Result<Gpt> decode_gpt(const ByteSource& disk);
/// Error (malformed) unless the partitions lie between the first and the last block, do not overlap and have a GUID of
/// their own each: a root file system is found by that GUID, so it must name one partition.
Result<void> check_gpt_layout(const std::vector<GptPartition>& partitions, std::uint64_t first_usable_lba,
                              std::uint64_t last_usable_lba);
/// UEFI_GPT_DATA as firmware measures it (TCG PFP 1.06, "EV_EFI_GPT_EVENT"): the 92-byte header, the number of
/// non-empty entries (u64), those entries; taken from the disk's own bytes.
Result<Buffer> gpt_event_data(const ByteSource& disk);

}  // namespace ingot::codec
