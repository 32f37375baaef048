// A small PE32+ file to damage: headers of 1 KiB, sections .text and .data of 512 bytes each, what a test appends.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::test {

struct PeImage {
  static constexpr std::size_t pe_header = 0x80;
  static constexpr std::size_t optional_header = pe_header + 24;
  static constexpr std::size_t checksum = optional_header + 64;
  static constexpr std::size_t security_directory = optional_header + 112 + 4 * 8;
  static constexpr std::size_t section_table = optional_header + 240;
  static constexpr std::size_t size_of_headers = 0x400;
  static constexpr std::size_t text = 0x400;
  static constexpr std::size_t data = 0x600;
  static constexpr std::size_t sections_end = 0x800;

  Buffer bytes = make();

  void put16(std::size_t at, std::uint16_t value) { put(at, Writer{}.u16le(value).view()); }
  void put32(std::size_t at, std::uint32_t value) { put(at, Writer{}.u32le(value).view()); }
  void put(std::size_t at, Bytes value) {
    std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void append(Bytes value) { bytes.insert(bytes.end(), value.begin(), value.end()); }
  /// Offset of a field of the n-th section header.
  static std::size_t section(std::size_t n, std::size_t field) { return section_table + n * 40 + field; }
  /// Appends a certificate table and points the directory at it.
  void sign(Bytes table) {
    bytes.resize((bytes.size() + 7) / 8 * 8);
    put32(security_directory, static_cast<std::uint32_t>(bytes.size()));
    put32(security_directory + 4, static_cast<std::uint32_t>(table.size()));
    append(table);
  }
  [[nodiscard]] SharedSource source() const { return memory_source(bytes); }
  [[nodiscard]] Result<codec::Pe> decode() const { return codec::decode_pe(*source()); }

 private:
  static Buffer make() {
    Writer out;
    out.text("MZ").fill(58).u32le(pe_header).fill(pe_header - 64);
    out.u32le(0x00004550).u16le(0x8664).u16le(2).fill(12).u16le(240).u16le(0x22E);
    out.u16le(0x020B).fill(30).u32le(0x1000).u32le(0x200).fill(16).u32le(0x3000).u32le(size_of_headers);
    out.u32le(0xC0FFEE).u16le(10).fill(38).u32le(16).fill(16 * 8);  // CheckSum, Subsystem: EFI application
    out.text(".text").fill(3).u32le(0x1F0).u32le(0x1000).u32le(0x200).u32le(text).fill(12).u32le(0x60000020);
    out.text(".data").fill(3).u32le(0x800).u32le(0x2000).u32le(0x200).u32le(data).fill(12).u32le(0xC0000040);
    out.fill(size_of_headers - out.size());
    for (std::size_t i = out.size(); i < sections_end; ++i) out.u8(static_cast<std::uint8_t>(i * 31 >> 3));
    return out.take();
  }
};

/// WIN_CERTIFICATE, padded to 8.
inline Buffer win_certificate(Bytes content, std::uint16_t type = 0x0002) {
  Writer out;
  out.u32le(static_cast<std::uint32_t>(content.size() + 8)).u16le(0x0200).u16le(type).bytes(content);
  return out.align(8).take();
}

}  // namespace ingot::test
