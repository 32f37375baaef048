// A file with the sections by which shim tells what it is, their long names in a string table as GNU's linker writes
// them; to damage, and to give it another vendor.
#pragma once

#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::test {

struct ShimImage {
  std::string ident = "UEFI SHIM\n$Version: 16.1 $\n$Commit: 0 $\n";
  std::string sbat_level = "sbat,1,2021030218\n";
  std::uint32_t sbat_format = 0;
  Buffer vendor, forbidden;
  std::uint32_t vendor_place = 16;  ///< as .vendor_cert says it
  std::uint32_t name_place = 4;     ///< of the first name in the string table

  [[nodiscard]] Buffer bytes() const {
    constexpr const char* names[] = {".data.ident", ".sbatlevel", ".vendor_cert"};
    const Buffer contents[] = {to_buffer(as_bytes(ident)), sbat(), certificates()};
    constexpr std::uint32_t pe_header = 0x80, headers = 0x400, alignment = 0x1000;
    std::uint32_t end = headers;
    for (const auto& content : contents) end += up(content.size(), 0x200);
    Writer out;
    out.text("MZ").fill(58).u32le(pe_header).fill(pe_header - 64);
    out.u32le(0x00004550).u16le(0x8664).u16le(3).fill(4).u32le(end).u32le(0).u16le(240).u16le(0x22E);
    out.u16le(0x020B).fill(30).u32le(alignment).u32le(0x200).fill(16).u32le(0x100000).u32le(headers);
    out.u32le(0).u16le(10).fill(38).u32le(16).fill(16 * 8);
    std::uint32_t at = headers, address = alignment, place = name_place;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto size = static_cast<std::uint32_t>(contents[i].size());
      const auto name = "/" + std::to_string(place);
      out.text(name).fill(8 - name.size()).u32le(size).u32le(address).u32le(up(size, 0x200)).u32le(at).fill(12);
      out.u32le(0x40000040);
      at += up(size, 0x200);
      address += up(size, alignment) + alignment;
      place += static_cast<std::uint32_t>(std::string_view(names[i]).size()) + 1;
    }
    out.fill(headers - out.size());
    for (const auto& content : contents) out.bytes(content).fill(up(content.size(), 0x200) - content.size());
    Writer strings;
    for (const auto* name : names) strings.text(name).u8(0);
    out.u32le(static_cast<std::uint32_t>(strings.size() + 4)).bytes(strings.view());
    return out.take();
  }
  [[nodiscard]] SharedSource source() const { return memory_source(bytes()); }

 private:
  static std::uint32_t up(std::size_t value, std::uint32_t alignment) {
    return static_cast<std::uint32_t>((value + alignment - 1) / alignment * alignment);
  }
  [[nodiscard]] Buffer sbat() const {
    const auto size = static_cast<std::uint32_t>(sbat_level.size() + 1);
    return Writer{}.u32le(sbat_format).u32le(8).u32le(8 + size).text(sbat_level).u8(0).text("sbat,1,9\n").u8(0).take();
  }
  [[nodiscard]] Buffer certificates() const {
    const auto size = static_cast<std::uint32_t>(vendor.size());
    return Writer{}
        .u32le(size)
        .u32le(static_cast<std::uint32_t>(forbidden.size()))
        .u32le(vendor_place)
        .u32le(16 + size)
        .bytes(vendor)
        .bytes(forbidden)
        .take();
  }
};

}  // namespace ingot::test
