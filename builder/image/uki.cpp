// Unified kernel images: systemd's stub with sections added by our own PE writer. UAPI group, "Unified Kernel Image
// (UKI)" specification; Microsoft "PE Format", revision 2024-09.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/output.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/codec/pe.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t uki_size_limit_bytes = 0x7FFFFFFF;  // firmware refuses EFI files of 2 GiB and more
constexpr std::uint64_t sbat_cap_bytes = 64u << 10;
constexpr std::uint64_t header_cap_bytes = 64u << 10;
constexpr std::size_t section_header_bytes = 40;
constexpr std::uint32_t section_count_cap = 96;  // "COFF File Header": the loader's limit
// "Section Flags".
constexpr std::uint32_t cnt_code = 0x00000020;
constexpr std::uint32_t cnt_initialized_data = 0x00000040;
constexpr std::uint32_t mem_read = 0x40000000;

constexpr std::string_view stub_hint = "use an unsigned linuxx64.efi.stub of systemd";

/// One section of the file to be written.
struct Section {
  codec::PeSection header;
  SharedSource content;  ///< raw_size bytes at most, the rest up to raw_size is zero; null: no bytes in the file
};

struct Layout {
  codec::Pe stub;
  std::vector<Section> sections;  ///< in the order of the section table
  std::size_t stub_section_count = 0;
  std::uint32_t size_of_headers = 0;
  std::uint64_t size_of_image = 0;
  std::uint64_t file_size = 0;
};

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

bool is_power_of_two(std::uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

void put_u16(Buffer& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value);
  bytes[at + 1] = static_cast<std::uint8_t>(value >> 8);
}
void put_u32(Buffer& bytes, std::size_t at, std::uint64_t value) {
  put_u16(bytes, at, static_cast<std::uint32_t>(value & 0xFFFF));
  put_u16(bytes, at + 2, static_cast<std::uint32_t>(value >> 16 & 0xFFFF));
}
std::uint64_t get_u32(Bytes bytes, std::size_t at) {
  return bytes[at] | std::uint64_t{bytes[at + 1]} << 8 | std::uint64_t{bytes[at + 2]} << 16 |
         std::uint64_t{bytes[at + 3]} << 24;
}

Result<void> check_text(std::string_view section, std::string_view text) {
  if (text.empty()) return fail(ErrorCode::malformed, fmt::format("the UKI's {} section would be empty", section));
  if (text.find('\0') != std::string_view::npos)
    return fail(ErrorCode::malformed, fmt::format("the text for the UKI's {} section has a NUL byte", section));
  return {};
}

Result<void> check_parts(const UkiParts& parts) {
  TRY(check_text(".osrel", parts.os_release));
  TRY(check_text(".cmdline", parts.command_line));
  TRY(check_text(".uname", parts.uname));
  if (parts.sbat.find('\0') != std::string::npos) return fail(ErrorCode::malformed, "the SBAT lines have a NUL byte");
  for (const auto& [name, source] :
       {std::pair{"stub", parts.stub}, {".linux", parts.kernel}, {".initrd", parts.initrd}})
    if (source == nullptr || source->size() == 0)
      return fail(ErrorCode::malformed, fmt::format("the UKI's {} part is empty", name));
  // Before any copying, and with sums that cannot wrap.
  for (const auto& source : {parts.stub, parts.kernel, parts.initrd})
    if (source->size() > uki_size_limit_bytes)
      return fail(ErrorCode::limit,
                  fmt::format("a part of {} bytes: EFI files of 2 GiB and more do not load", source->size()));
  return {};
}

/// A stub of systemd, unsigned, without the sections we are about to add.
Result<codec::Pe> decode_stub(const ByteSource& stub) {
  auto pe = TRY_IN("the stub", codec::decode_pe(stub));
  const auto refuse = [](std::string why) {
    return fail(ErrorCode::unsupported, std::move(why), std::string(stub_hint));
  };
  if (pe.is_signed()) return refuse("the stub is already signed: adding sections would break its signature");
  const auto* magic = pe.find(".sdmagic");
  constexpr std::string_view expected = "#### LoaderInfo: systemd-stub ";
  if (magic == nullptr || magic->raw_size < expected.size())
    return refuse("the stub is not systemd's: it has no .sdmagic section");
  const auto text = TRY(read_part(stub, magic->raw_offset, expected.size(), expected.size()));
  if (as_text(text) != expected) return refuse("the stub is not systemd's: its .sdmagic section is not a stub's");
  for (const auto* name : {".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".pcrpkey", ".pcrsig"})
    if (pe.find(name) != nullptr)
      return refuse(fmt::format("the stub already has a {} section: it is a finished image", name));
  if (!is_power_of_two(pe.file_alignment) || !is_power_of_two(pe.section_alignment) || pe.file_alignment < 8 ||
      pe.file_alignment > 65536 || pe.section_alignment > (1u << 21))
    return refuse(fmt::format("the stub's alignments are strange: {} in the file, {} in memory", pe.file_alignment,
                              pe.section_alignment));
  return pe;
}

std::uint64_t end_in_memory(const codec::PeSection& section) {
  return std::uint64_t{section.virtual_address} + std::max(section.virtual_size, section.raw_size);
}

/// Bytes between a section's address and the next thing in memory; without bound for the last one.
std::uint64_t room_in_memory(const Layout& layout, const codec::PeSection& section) {
  std::uint64_t next = UINT64_MAX;
  for (const auto& other : layout.sections)
    if (other.header.virtual_address > section.virtual_address)
      next = std::min<std::uint64_t>(next, other.header.virtual_address);
  return next - section.virtual_address;
}

std::uint64_t next_address(const Layout& layout) {
  std::uint64_t end = layout.size_of_headers;
  for (const auto& section : layout.sections) end = std::max(end, end_in_memory(section.header));
  return align_up(end, layout.stub.section_alignment);
}

Result<void> add_section(Layout& layout, std::string name, SharedSource content, std::uint64_t virtual_size,
                         std::uint32_t flags) {
  Section section;
  section.header.name = std::move(name);
  const std::uint64_t address = next_address(layout);
  const std::uint64_t raw_size = align_up(content->size(), layout.stub.file_alignment);
  if (address + std::max(virtual_size, raw_size) > uki_size_limit_bytes)
    return fail(ErrorCode::limit,
                fmt::format("the UKI would be {} bytes with its {} section: EFI files of 2 GiB and more do not load",
                            address + raw_size, section.header.name),
                "make the initrd smaller");
  section.header.virtual_address = static_cast<std::uint32_t>(address);
  section.header.virtual_size = static_cast<std::uint32_t>(virtual_size);
  section.header.raw_size = static_cast<std::uint32_t>(raw_size);
  section.header.characteristics = flags | mem_read;
  section.content = std::move(content);
  layout.sections.push_back(std::move(section));
  return {};
}

Result<void> add_text(Layout& layout, std::string name, std::string_view text) {
  if (text.empty()) return {};
  return add_section(layout, std::move(name), memory_source(to_buffer(as_bytes(text))), text.size(),
                     cnt_initialized_data);
}

/// Shim's SBAT.md, "Version-Based Revocation": one header line, then one line a component. The stub's lines stay first.
Result<void> extend_sbat(Layout& layout, std::string_view lines) {
  if (lines.empty()) return {};
  const auto section = std::find_if(layout.sections.begin(), layout.sections.end(),
                                    [](const Section& each) { return each.header.name == ".sbat"; });
  if (section == layout.sections.end())
    return add_text(
        layout, ".sbat",
        fmt::format("sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n{}", lines));
  auto text = std::string(as_text(TRY(read_all(*section->content, sbat_cap_bytes))));
  text.resize(std::min<std::size_t>(text.size(), section->header.virtual_size));
  text.erase(std::min(text.find('\0'), text.size()));
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += lines;
  auto& header = section->header;
  const std::uint64_t raw_size = align_up(text.size(), layout.stub.file_alignment);
  // The loader copies min(VirtualSize, SizeOfRawData): only VirtualSize has to fit before what follows in memory.
  if (text.size() > room_in_memory(layout, header))
    header.virtual_address = static_cast<std::uint32_t>(next_address(layout));
  header.virtual_size = static_cast<std::uint32_t>(text.size());
  header.raw_size = static_cast<std::uint32_t>(raw_size);
  section->content = memory_source(to_buffer(as_bytes(text)));
  return {};
}

/// The inner kernel runs in place once loaded: its section reserves all the memory that its own header asks for.
Result<std::uint64_t> kernel_virtual_size(const ByteSource& kernel) {
  const auto pe = TRY_IN("the kernel has no EFI entry point", codec::decode_pe(kernel));
  return std::max<std::uint64_t>(pe.size_of_image, kernel.size());
}

/// Grows the headers until every section header fits. Only the file's layout moves: nothing in memory does.
Result<void> place_headers(Layout& layout) {
  const std::uint64_t needed = layout.stub.section_table_offset + layout.sections.size() * section_header_bytes;
  const std::uint64_t size =
      std::max<std::uint64_t>(layout.stub.size_of_headers, align_up(needed, layout.stub.file_alignment));
  std::uint64_t first_address = UINT64_MAX;
  for (const auto& section : layout.sections)
    first_address = std::min<std::uint64_t>(first_address, section.header.virtual_address);
  if (layout.sections.size() > section_count_cap || size > first_address || size > header_cap_bytes)
    return fail(ErrorCode::unsupported,
                fmt::format("the stub has no room for {} section headers", layout.sections.size()),
                std::string(stub_hint));
  layout.size_of_headers = static_cast<std::uint32_t>(size);
  return {};
}

/// Gives every section its place in the file: no gaps, so that every byte is either header or section and Authenticode
/// implementations cannot disagree about what lies between.
Result<void> place_in_file(Layout& layout) {
  std::vector<Section*> order;
  for (auto& section : layout.sections)
    if (section.header.raw_size != 0) order.push_back(&section);
  // The stub's own sections keep their order in the file; ours follow in the order of the table.
  std::stable_sort(order.begin(),
                   order.begin() + static_cast<std::ptrdiff_t>(std::min(order.size(), layout.stub_section_count)),
                   [](const Section* a, const Section* b) { return a->header.raw_offset < b->header.raw_offset; });
  std::uint64_t at = layout.size_of_headers;
  for (auto* section : order) {
    if (at + section->header.raw_size > uki_size_limit_bytes)
      return fail(ErrorCode::limit, "the UKI would be 2 GiB or more: such EFI files do not load",
                  "make the initrd smaller");
    section->header.raw_offset = static_cast<std::uint32_t>(at);
    at += section->header.raw_size;
  }
  layout.file_size = at;
  layout.size_of_image = next_address(layout);
  return {};
}

Result<Layout> lay_out(const UkiParts& parts) {
  Layout layout;
  layout.stub = TRY(decode_stub(*parts.stub));
  layout.size_of_headers = layout.stub.size_of_headers;
  for (const auto& header : layout.stub.sections) {
    Section section{header, nullptr};
    if (header.raw_size != 0) section.content = TRY(slice_source(parts.stub, header.raw_offset, header.raw_size));
    section.header.raw_size = static_cast<std::uint32_t>(align_up(header.raw_size, layout.stub.file_alignment));
    layout.sections.push_back(std::move(section));
  }
  layout.stub_section_count = static_cast<std::size_t>(std::count_if(
      layout.sections.begin(), layout.sections.end(), [](const Section& each) { return each.header.raw_size != 0; }));
  TRY(extend_sbat(layout, parts.sbat));
  TRY(add_text(layout, ".osrel", parts.os_release));
  TRY(add_text(layout, ".cmdline", parts.command_line));
  TRY(add_text(layout, ".uname", parts.uname));
  TRY(add_text(layout, ".pcrpkey", parts.pcr_public_key_pem));
  TRY(add_text(layout, ".pcrsig", parts.pcr_signature_json));
  TRY(add_section(layout, ".initrd", parts.initrd, parts.initrd->size(), cnt_initialized_data));
  // Last, so that a kernel that overruns its own section overwrites nothing of ours.
  TRY(add_section(layout, ".linux", parts.kernel, TRY(kernel_virtual_size(*parts.kernel)), cnt_code));
  TRY(place_headers(layout));
  TRY(place_in_file(layout));
  return layout;
}

void write_section_header(Writer& out, const codec::PeSection& section) {
  out.text(section.name).fill(8 - section.name.size());
  out.u32le(section.virtual_size).u32le(section.virtual_address).u32le(section.raw_size);
  out.u32le(section.raw_size == 0 ? 0 : section.raw_offset);
  out.fill(12);  // relocations and line numbers: object files only
  out.u32le(section.characteristics);
}

/// The stub's headers with our section table. TimeDateStamp stays the stub's own: it comes with the package.
Result<Buffer> encode_headers(const UkiParts& parts, const Layout& layout) {
  const auto& stub = layout.stub;
  Buffer head = TRY(read_part(*parts.stub, 0, stub.section_table_offset, header_cap_bytes));
  std::uint64_t code = 0;
  std::uint64_t data = 0;
  for (std::size_t i = stub.sections.size(); i < layout.sections.size(); ++i) {
    const auto& header = layout.sections[i].header;
    ((header.characteristics & cnt_code) != 0 ? code : data) += header.raw_size;
  }
  const std::size_t coff = stub.pe_header_offset + 4;
  const std::size_t optional = stub.optional_header_offset;
  put_u16(head, coff + 2, static_cast<std::uint32_t>(layout.sections.size()));  // NumberOfSections
  put_u32(head, coff + 8, 0);                                                   // PointerToSymbolTable
  put_u32(head, coff + 12, 0);                                                  // NumberOfSymbols
  put_u32(head, optional + 4, get_u32(head, optional + 4) + code);              // SizeOfCode
  put_u32(head, optional + 8, get_u32(head, optional + 8) + data);              // SizeOfInitializedData
  put_u32(head, optional + 56, layout.size_of_image);
  put_u32(head, optional + 60, layout.size_of_headers);
  put_u32(head, stub.checksum_offset, 0);
  Writer out;
  out.bytes(head);
  for (const auto& section : layout.sections) write_section_header(out, section.header);
  return out.fill(layout.size_of_headers - out.size()).take();
}

}  // namespace

Result<SharedSource> uki_source(const UkiParts& parts) {
  TRY(check_parts(parts));
  const auto layout = TRY(lay_out(parts));
  std::vector<PlacedSource> pieces;
  pieces.push_back({0, memory_source(TRY(encode_headers(parts, layout)))});
  for (const auto& [header, content] : layout.sections)
    if (content != nullptr) pieces.push_back({header.raw_offset, content});
  std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  return joined_source(std::move(pieces), layout.file_size);
}

Result<void> write_uki(const UkiParts& parts, const std::string& out_path) {
  const auto uki = TRY(uki_source(parts));
  auto out = TRY(OutputFile::create(out_path));
  TRY(out.copy_at(0, *uki));
  return out.commit();
}

}  // namespace ingot::builder
