// The input is the start of a disk of 128 KiB. Both CRCs are made right first: a fuzzer would not get past them.
#include <lzma.h>

#include "fuzz.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/gpt.hpp"

using namespace ingot;

namespace {

constexpr std::size_t disk_size = 128u << 10;
constexpr std::size_t header = 512;

void put32(Buffer& disk, std::size_t at, std::uint32_t value) {
  const auto bytes = Writer{}.u32le(value).take();
  std::copy(bytes.begin(), bytes.end(), disk.begin() + static_cast<std::ptrdiff_t>(at));
}

void seal(Buffer& disk) {
  Reader in{Bytes(disk).subspan(header + 72)};
  const std::uint64_t entries = in.u64le();
  const std::uint64_t count = in.u32le();
  const std::uint64_t entry_size = in.u32le();
  if (entries < disk_size / 512 && count <= 1024 && entry_size <= 512 &&
      count * entry_size <= disk_size - entries * 512)
    put32(disk, header + 88, lzma_crc32(disk.data() + entries * 512, static_cast<std::size_t>(count * entry_size), 0));
  put32(disk, header + 16, 0);
  put32(disk, header + 16, lzma_crc32(disk.data() + header, 92, 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Buffer disk(data, data + std::min(size, disk_size));
  disk.resize(disk_size);
  seal(disk);
  const auto source = memory_source(disk);
  const auto gpt = codec::decode_gpt(*source);
  if (const auto event = codec::gpt_event_data(*source))
    FUZZ_REQUIRE(event->size() >= 100 && (!gpt || event->size() == 100 + gpt->partitions.size() * 128));
  if (!gpt) return 0;
  // A table may be where ours is not, or hold more than ours; what we write we must read.
  const auto encoded = codec::encode_gpt(*gpt);
  if (!encoded) return 0;
  FUZZ_REQUIRE(encoded->primary.size() + encoded->backup.size() <= disk_size);
  Buffer written(disk_size);
  std::copy(encoded->primary.begin(), encoded->primary.end(), written.begin());
  std::copy(encoded->backup.begin(), encoded->backup.end(),
            written.end() - static_cast<std::ptrdiff_t>(encoded->backup.size()));
  FUZZ_REQUIRE(codec::decode_gpt(*memory_source(written)) == *gpt);
  return 0;
}
