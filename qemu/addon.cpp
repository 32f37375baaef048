#include "addon.hpp"

#include <array>

#include "ingot/base/output.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::rig {
namespace {

constexpr std::uint32_t alignment = 4096;  // sections lie in the file as in memory

struct AddonSection {
  std::string_view name;
  Buffer content;
  std::uint32_t characteristics;
};

Buffer padded(std::string_view name, std::size_t size) {
  Buffer out = to_buffer(as_bytes(name));
  out.resize(size);
  return out;
}

// Microsoft "PE Format": "MS-DOS Stub", "COFF File Header", "Optional Header" (PE32+), "Section Table".
Buffer headers(std::span<const AddonSection> sections) {
  const auto count = static_cast<std::uint32_t>(sections.size());
  Writer out;
  out.text("MZ").fill(58).u32le(64);
  out.text(std::string_view("PE\0\0", 4))
      .u16le(0x8664)
      .u16le(static_cast<std::uint16_t>(count))
      .u32le(0)
      .u32le(0)
      .u32le(0);
  out.u16le(240).u16le(0x0206);  // executable, line numbers stripped, debug stripped
  out.u16le(0x020B).u8(0).u8(0).u32le(alignment).u32le(alignment * (count - 1)).u32le(0);
  out.u32le(alignment).u32le(alignment);                      // AddressOfEntryPoint, BaseOfCode
  out.u64le(0).u32le(alignment).u32le(alignment);             // ImageBase, SectionAlignment, FileAlignment
  out.u16le(0).u16le(0).u16le(0).u16le(0).u16le(1).u16le(0);  // versions
  out.u32le(0).u32le(alignment * (count + 1)).u32le(alignment).u32le(0);
  out.u16le(10).u16le(0x0100).fill(32).u32le(0).u32le(16).fill(16 * 8);  // EFI application, NX compatible
  for (std::uint32_t i = 0; i < count; ++i) {
    out.bytes(padded(sections[i].name, 8)).u32le(static_cast<std::uint32_t>(sections[i].content.size()));
    out.u32le(alignment * (i + 1))
        .u32le(alignment)
        .u32le(alignment * (i + 1))
        .fill(12)
        .u32le(sections[i].characteristics);
  }
  return out.align(alignment).take();
}

}  // namespace

Result<void> write_addon(const std::string& command_line, const std::string& out_path) {
  constexpr std::uint32_t code = 0x60000020;
  constexpr std::uint32_t data = 0x40000040;
  const std::array<AddonSection, 4> sections = {{
      {".text", {0xC3}, code},  // ret: an addon is never started
      {".sdmagic", to_buffer(as_bytes("#### LoaderInfo: systemd-addon 257 ####")), data},
      {".sbat", to_buffer(as_bytes("sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n")),
       data},
      {".cmdline", to_buffer(as_bytes(command_line)), data},
  }};
  auto out = TRY(OutputFile::create(out_path));
  TRY(out.write(headers(sections)));
  for (const auto& section : sections) {
    Buffer content = section.content;
    content.resize(alignment);
    TRY(out.write(content));
  }
  return out.commit();
}

}  // namespace ingot::rig
