// Reading FAT32, as far as an EFI System Partition needs it. Microsoft "FAT32 File System Specification" 1.03.
#pragma once

#include "ingot/base/source.hpp"

namespace ingot::codec {

struct FatFile {
  std::string path;  ///< "EFI/BOOT/BOOTX64.EFI", names as stored (long name where there is one)
  std::uint64_t size_bytes = 0;
  SharedSource content;
};

/// Every regular file, in folder order, depth first. Caps: 4096 entries, 16 folders deep. Errors: not FAT32, a chain
/// that loops or leaves the volume, a file shorter than its size.
Result<std::vector<FatFile>> list_fat32(const SharedSource& volume);

}  // namespace ingot::codec
