#include "ingot/codec/fat.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/writer.hpp"

using namespace ingot;

namespace {

constexpr std::uint32_t reserved = 32;
constexpr std::uint32_t fat_sectors = 520;

/// A minimal FAT32 volume: root with one folder EFI that holds A.EFI (600 bytes over two clusters).
struct Volume {
  Buffer bytes = Buffer((reserved + fat_sectors + 66000) * 512);

  void put(std::size_t at, Bytes value) {
    std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void fat(std::uint32_t cluster, std::uint32_t next) {
    put(reserved * 512 + cluster * 4, Writer{}.u32le(next).view());
  }
  static std::size_t cluster_at(std::uint32_t cluster) { return (reserved + fat_sectors + cluster - 2) * 512; }
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

  Volume() {
    Writer boot;
    boot.fill(11).u16le(512).u8(1).u16le(reserved).u8(1).u16le(0).u16le(0).u8(0xF8).u16le(0).fill(8);
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

}  // namespace

TEST_CASE("fat: a file over two clusters is found and read") {
  const auto files = codec::list_fat32(memory_source(Volume{}.bytes));
  REQUIRE(files);
  REQUIRE(files->size() == 1);
  CHECK(files->front().path == "EFI/A.EFI");
  const auto content = read_all(*files->front().content, 4096);
  REQUIRE(content);
  CHECK(content->size() == 600);
  CHECK((*content)[599] == static_cast<std::uint8_t>(599));
}

TEST_CASE("fat: damage is malformed") {
  struct Row {
    const char* name;
    void (*damage)(Volume&);
  };
  const Row rows[] = {
      {"no boot signature", [](Volume& v) { v.bytes[510] = 0; }},
      {"sectors of another size", [](Volume& v) { v.bytes[12] = 4; }},
      {"no sectors per cluster", [](Volume& v) { v.bytes[13] = 0; }},
      {"sectors per cluster not a power of two", [](Volume& v) { v.bytes[13] = 3; }},
      {"larger than what holds it", [](Volume& v) { v.bytes[35] = 0x7F; }},
      {"FAT larger than the volume", [](Volume& v) { v.bytes[39] = 0x7F; }},
      {"FAT too small",
       [](Volume& v) {
         v.bytes[36] = 1;
         v.bytes[37] = 0;
       }},
      {"root outside the volume", [](Volume& v) { v.bytes[47] = 0x0F; }},
      {"chain loops", [](Volume& v) { v.fat(5, 4); }},
      {"chain leaves the volume", [](Volume& v) { v.fat(5, 0x00FFFFFF); }},
      {"chain reaches a reserved cluster", [](Volume& v) { v.fat(5, 1); }},
      {"file shorter than its size", [](Volume& v) { v.fat(4, 0x0FFFFFFF); }},
      {"folder contains itself", [](Volume& v) { v.entry(Volume::cluster_at(3) + 64, "LOOP       ", 0x10, 3, 0); }},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    Volume volume;
    row.damage(volume);
    const auto files = codec::list_fat32(memory_source(volume.bytes));
    REQUIRE_FALSE(files);
    CHECK(files.error().code == ErrorCode::malformed);
  }
}
