// Volumes that are put onto a disk before its node has started.
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::builder {

/// [a-z][a-z0-9]{0,30}: a partition's label and a name below /dev/mapper.
bool is_volume_name(std::string_view text);

struct VolumeWish {
  std::string name;  ///< as in the profile
  std::string size;  ///< as in a profile, "100GiB"; empty: all the room there is
};

/// A disk's partition table with a volume behind its last partition, where systemd-repart would have put it: in units
/// of 4096 bytes.
struct VolumePlace {
  codec::Gpt gpt;                  ///< the new partition is its last
  std::uint64_t offset_bytes = 0;  ///< of the new partition
  std::uint64_t size_bytes = 0;
};

/// Reads the disk alone. Errors: malformed, a partition table that `ingot build` or write_volume() did not write so
/// (both copies are held against each other), another image's than the baseline's, or a size that is none; usage, a
/// name that a volume cannot have or has already, or that is not the profile's next; unsupported, a baseline of an
/// image without volumes, or a volume that others open, too, that has integrity, or that is erased on a
/// redeployment; limit, room for less than was asked, or than 64 MiB.
Result<VolumePlace> place_volume(const ByteSource& disk, const Baseline& baseline, const VolumeWish& wish);

/// `header` to the place's start, then the tables; each reaches the disk before the next: until the last write the disk
/// is as it was. Error: io.
Result<void> write_volume(const std::string& disk_path, const VolumePlace& place, Bytes header);

}  // namespace ingot::builder
