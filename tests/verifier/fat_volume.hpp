// A FAT32 volume written by hand, for tests and fuzz seeds.
#pragma once

#include <algorithm>

#include "ingot/base/writer.hpp"

namespace ingot::test {

inline constexpr std::uint32_t fat_reserved_sectors = 32;
inline constexpr std::uint32_t fat_sectors = 520;
inline constexpr std::uint32_t fat_clusters = 66000;
inline constexpr std::size_t fat_volume_size = (fat_reserved_sectors + fat_sectors + fat_clusters) * 512;

/// A minimal FAT32 volume: root with one folder EFI that holds A.EFI (600 bytes over two clusters).
struct FatVolume {
  Buffer bytes = Buffer(fat_volume_size);

  void put(std::size_t at, Bytes value) {
    std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void fat(std::uint32_t cluster, std::uint32_t next) {
    put(fat_reserved_sectors * 512 + cluster * 4, Writer{}.u32le(next).view());
  }
  static std::size_t cluster_at(std::uint32_t cluster) {
    return (fat_reserved_sectors + fat_sectors + cluster - 2) * 512;
  }
  void entry(std::size_t at, std::string_view name, std::uint8_t attributes, std::uint32_t cluster,
             std::uint32_t size) {
    put(at, Writer{}
                .text(name)
                .u8(attributes)
                .fill(8)
                .u16le(static_cast<std::uint16_t>(cluster >> 16))
                .fill(4)
                .u16le(static_cast<std::uint16_t>(cluster))
                .u32le(size)
                .view());
  }

  FatVolume() {
    Writer boot;
    boot.fill(11).u16le(512).u8(1).u16le(fat_reserved_sectors).u8(1).u16le(0).u16le(0).u8(0xF8).u16le(0).fill(8);
    boot.u32le(static_cast<std::uint32_t>(bytes.size() / 512)).u32le(fat_sectors).fill(4).u32le(2);
    put(0, boot.view());
    put(510, Buffer{0x55, 0xAA});
    for (const std::uint32_t cluster : {2u, 3u, 5u}) fat(cluster, 0x0FFFFFFF);
    fat(4, 5);
    entry(cluster_at(2), "EFI        ", 0x10, 3, 0);
    entry(cluster_at(3), ".          ", 0x10, 3, 0);
    entry(cluster_at(3) + 32, "A       EFI", 0x20, 4, 600);
    for (std::size_t i = 0; i < 600; ++i) bytes[cluster_at(4) + i] = static_cast<std::uint8_t>(i);
  }
};

}  // namespace ingot::test
