// A variable store as firmware is shipped, small: a volume of 4 KiB with an empty store of 2 KiB.
#pragma once

#include "ingot/base/guid.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::test {

inline constexpr std::size_t store_volume_header = 72;
inline constexpr std::size_t store_first_variable = store_volume_header + 28;
inline constexpr std::size_t store_end = store_volume_header + 0x800;

inline Buffer empty_store() {
  Writer out;
  out.fill(16).bytes(make_guid("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes).u64le(4096).text("_FVH").u32le(0x4FEFF);
  out.u16le(store_volume_header).u16le(0).u16le(0).u8(0).u8(2).u32le(1).u32le(4096).u64le(0);
  auto header = out.take();
  Reader in{header};
  std::uint16_t sum = 0;
  while (in.left() > 0) sum = static_cast<std::uint16_t>(sum + in.u16le());
  const auto checksum = static_cast<std::uint16_t>(-sum);
  header[50] = static_cast<std::uint8_t>(checksum);
  header[51] = static_cast<std::uint8_t>(checksum >> 8);
  Writer flash;
  flash.bytes(header).bytes(make_guid("aaf32c78-947b-439a-a180-2e144ec37792").bytes);
  flash.u32le(0x800).u8(0x5A).u8(0xFE).fill(6);
  return flash.fill(4096 - flash.size(), 0xFF).take();
}

}  // namespace ingot::test
