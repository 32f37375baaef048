// The input is laid where a volume of one FAT has its boot sector, the start of its FAT, and its first clusters; the
// rest is zeros.
#include "fuzz.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/fat.hpp"
#include "verifier/fat_volume.hpp"

using namespace ingot;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t part = 512;
  const Bytes input(data, std::min<std::size_t>(size, 64 * part));
  const auto take = [&](std::size_t from, std::size_t count) {
    from = std::min(from, input.size());
    return memory_source(to_buffer(input.subspan(from, std::min(count, input.size() - from))));
  };
  const auto volume = joined_source({{0, take(0, part)},
                                     {test::fat_reserved_sectors * 512, take(part, part)},
                                     {test::FatVolume::cluster_at(2), take(2 * part, input.size())}},
                                    test::fat_volume_size);
  const auto files = codec::list_fat32(*volume);
  if (!files) return 0;
  for (const auto& file : *files) {
    FUZZ_REQUIRE(!file.path.empty() && file.content->size() == file.size_bytes);
    FUZZ_REQUIRE(file.size_bytes <= test::fat_volume_size);
    (void)read_part(*file.content, 0, std::min<std::uint64_t>(file.size_bytes, part), part);
  }
  return 0;
}
