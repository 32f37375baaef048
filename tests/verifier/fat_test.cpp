#include "ingot/codec/fat.hpp"

#include <catch2/catch.hpp>

#include "fat_volume.hpp"

using namespace ingot;

namespace {

using Volume = test::FatVolume;
using test::fat_sectors;

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
      {"a name of blanks", [](Volume& v) { v.entry(Volume::cluster_at(3) + 32, "           ", 0x20, 4, 600); }},
      {"a name with a slash", [](Volume& v) { v.entry(Volume::cluster_at(3) + 32, "A/B     EFI", 0x20, 4, 600); }},
      {"a name twice, in another case",
       [](Volume& v) { v.entry(Volume::cluster_at(3) + 64, "a       eFI", 0x20, 4, 600); }},
      {"a long name of another entry",
       [](Volume& v) {
         v.entry(Volume::cluster_at(3) + 32,
                 std::string_view("\x41"
                                  "B\0C\0D\0E\0F\0",
                                  11),
                 0x0F, 0, 0);
         v.entry(Volume::cluster_at(3) + 64, "A       EFI", 0x20, 4, 600);
       }},
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

TEST_CASE("fat: what only looks like a dot entry is listed") {
  Volume volume;
  volume.entry(Volume::cluster_at(3) + 64, ".HIDDEN EFI", 0x20, 4, 600);
  const auto files = codec::list_fat32(memory_source(volume.bytes));
  REQUIRE(files);
  REQUIRE(files->size() == 2);
  CHECK(files->back().path == "EFI/.HIDDEN.EFI");
}
