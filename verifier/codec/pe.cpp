#include "ingot/codec/pe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint32_t section_cap = 96;  // "COFF File Header": the loader's limit
constexpr std::uint64_t header_cap_bytes = 64u << 10;
constexpr std::uint16_t dos_magic = 0x5A4D;
constexpr std::uint32_t pe_signature = 0x00004550;
constexpr std::uint16_t pe32_plus = 0x020B;
constexpr std::uint16_t machine_x86_64 = 0x8664;
constexpr std::uint16_t machine_aarch64 = 0xAA64;
constexpr std::uint32_t coff_header_end = 24;         // from "PE\0\0" to the optional header
constexpr std::uint32_t optional_header_fixed = 112;  // of PE32+, up to the data directories
constexpr std::uint32_t directory_cap = 16;
constexpr std::uint32_t section_header_size = 40;
constexpr std::uint32_t security_directory = 4;  // "Optional Header Data Directories": Certificate Table

Error malformed(std::string message, std::uint64_t offset) {
  return Error{ErrorCode::malformed, std::move(message), {}, offset, std::nullopt};
}

std::string section_name(Bytes raw) {
  std::string name(as_text(raw));
  name.erase(std::min(name.find('\0'), name.size()));
  return name;
}

/// "COFF File Header". Returns the size of the optional header; the number of sections goes to `section_count`.
Result<std::uint32_t> read_coff_header(Reader& in, Pe& pe, std::uint32_t& section_count) {
  const std::uint32_t signature = in.u32le();
  pe.machine = in.u16le();
  section_count = in.u16le();
  in.skip(12);
  const std::uint32_t optional_size = in.u16le();
  in.skip(2);
  if (!in.ok()) return fail(in.error());
  if (signature != pe_signature) return fail(malformed("not a PE file: no \"PE\" signature", pe.pe_header_offset));
  if (pe.machine != machine_x86_64 && pe.machine != machine_aarch64)
    return fail(ErrorCode::unsupported,
                fmt::format("a PE file for machine 0x{:04x}; x86-64 and AArch64 are handled", pe.machine));
  if (section_count > section_cap)
    return fail(malformed(fmt::format("{} sections, 96 are the most", section_count), pe.pe_header_offset + 6));
  return optional_size;
}

/// "Optional Header (Image Only)" of PE32+.
Result<void> read_optional_header(Reader& in, Pe& pe, std::uint32_t optional_size) {
  pe.optional_header_offset = pe.pe_header_offset + coff_header_end;
  pe.checksum_offset = pe.optional_header_offset + 64;
  pe.security_directory_offset = pe.optional_header_offset + optional_header_fixed + security_directory * 8;
  pe.section_table_offset = pe.optional_header_offset + optional_size;
  const std::uint16_t magic = in.u16le();
  in.skip(30);
  pe.section_alignment = in.u32le();
  pe.file_alignment = in.u32le();
  in.skip(16);
  pe.size_of_image = in.u32le();
  pe.size_of_headers = in.u32le();
  pe.checksum = in.u32le();
  in.skip(40);
  const std::uint32_t directories = in.u32le();
  if (!in.ok()) return fail(in.error());
  if (magic != pe32_plus)
    return fail(ErrorCode::unsupported, "a 32-bit PE file; UEFI on x86-64 and AArch64 starts PE32+ only");
  // edk2 MdePkg/Library/BasePeCoffLib, PeCoffLoaderGetPeHeader(): the two sizes must agree.
  if (directories > directory_cap || optional_size != optional_header_fixed + directories * 8)
    return fail(
        malformed("the optional header's size does not fit its data directories", pe.optional_header_offset + 108));
  if (directories <= security_directory)
    return fail(malformed("the optional header has no certificate table entry", pe.optional_header_offset + 108));
  if (!std::has_single_bit(pe.section_alignment) || !std::has_single_bit(pe.file_alignment))
    return fail(malformed("SectionAlignment and FileAlignment are not powers of two", pe.optional_header_offset + 32));
  in.skip(security_directory * 8);
  pe.certificate_table_offset = in.u32le();
  pe.certificate_table_size = in.u32le();
  in.skip((directories - security_directory - 1) * 8);
  if (!in.ok()) return fail(in.error());
  return {};
}

/// "Section Table (Section Headers)".
Result<void> read_sections(Reader& in, Pe& pe, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    PeSection section;
    section.name = section_name(in.bytes(8));
    section.virtual_size = in.u32le();
    section.virtual_address = in.u32le();
    section.raw_size = in.u32le();
    section.raw_offset = in.u32le();
    in.skip(12);
    section.characteristics = in.u32le();
    pe.sections.push_back(std::move(section));
  }
  if (!in.ok()) return fail(in.error());
  if (pe.section_table_offset + std::uint64_t{count} * section_header_size > pe.size_of_headers)
    return fail(malformed("the section table is larger than SizeOfHeaders says", pe.optional_header_offset + 60));
  return {};
}

struct Range {
  std::uint64_t at;
  std::uint64_t size;
};

/// True when two of the ranges share a byte. Empty ranges overlap nothing. Offsets and sizes are of 32 bits.
bool any_overlap(std::vector<Range> ranges) {
  std::erase_if(ranges, [](const Range& range) { return range.size == 0; });
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.at < b.at; });
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].at - ranges[i - 1].at < ranges[i - 1].size) return true;
  return false;
}

Result<void> check_sections(const Pe& pe) {
  if (pe.size_of_headers > pe.file_size)
    return fail(malformed("truncated: the headers are larger than the file", pe.optional_header_offset + 60));
  std::vector<Range> in_file = {{0, pe.size_of_headers}};
  std::vector<Range> in_memory = {{0, pe.size_of_headers}};
  for (const auto& section : pe.sections) {
    // A loader takes SizeOfRawData where VirtualSize is 0.
    const std::uint64_t loaded = section.virtual_size != 0 ? section.virtual_size : section.raw_size;
    if (section.raw_size != 0) in_file.push_back({section.raw_offset, section.raw_size});
    in_memory.push_back({section.virtual_address, loaded});
    if (section.raw_size != 0 && std::uint64_t{section.raw_offset} + section.raw_size > pe.file_size)
      return fail(malformed(fmt::format("truncated: section {} ends behind the end of the file", section.name),
                            section.raw_offset));
    if (section.virtual_address + loaded > pe.size_of_image)
      return fail(malformed(fmt::format("section {} ends behind SizeOfImage", section.name), pe.section_table_offset));
  }
  if (any_overlap(std::move(in_file))) return fail(malformed("sections overlap in the file", pe.section_table_offset));
  if (any_overlap(std::move(in_memory))) return fail(malformed("sections overlap in memory", pe.section_table_offset));
  return {};
}

// "The Attribute Certificate Table" comes last. Firmware hashes by counting bytes ("Calculating the PE Image Hash"), so
// a table anywhere else would leave bytes that nobody signed.
Result<void> check_certificate_table(const Pe& pe) {
  if (pe.certificate_table_size == 0) return {};
  const std::uint64_t entry = pe.security_directory_offset;
  if (pe.certificate_table_offset + pe.certificate_table_size > pe.file_size)
    return fail(malformed("truncated: the certificate table ends behind the end of the file", entry));
  if (pe.certificate_table_offset + pe.certificate_table_size != pe.file_size)
    return fail(malformed("bytes follow the certificate table", entry));
  if (pe.certificate_table_offset % 8 != 0) return fail(malformed("the certificate table is not aligned to 8", entry));
  if (pe.certificate_table_offset < pe.size_of_headers)
    return fail(malformed("the certificate table overlaps the headers", entry));
  for (const auto& section : pe.sections)
    if (section.raw_size != 0 && section.raw_offset + std::uint64_t{section.raw_size} > pe.certificate_table_offset)
      return fail(malformed(fmt::format("the certificate table overlaps section {}", section.name), entry));
  return {};
}

}  // namespace

const PeSection* Pe::find(std::string_view name) const {
  const auto found =
      std::find_if(sections.begin(), sections.end(), [&](const PeSection& section) { return section.name == name; });
  return found == sections.end() ? nullptr : &*found;
}

Result<Pe> decode_pe(const ByteSource& file) {
  Pe pe;
  pe.file_size = file.size();
  const auto head = TRY(read_part(file, 0, std::min(file.size(), header_cap_bytes), header_cap_bytes));
  Reader in{head};
  const std::uint16_t magic = in.u16le();
  if (in.ok() && magic != dos_magic) return fail(malformed("not a PE file: it does not start with \"MZ\"", 0));
  in.skip(58);
  pe.pe_header_offset = in.u32le();
  // The headers follow each other, so one cursor reads straight down.
  if (in.ok() && pe.pe_header_offset < in.at()) return fail(malformed("the PE header lies inside the DOS header", 60));
  in.skip(pe.pe_header_offset - in.at());
  if (!in.ok()) return fail(in.error());
  std::uint32_t section_count = 0;
  const std::uint32_t optional_size = TRY(read_coff_header(in, pe, section_count));
  TRY(read_optional_header(in, pe, optional_size));
  TRY(read_sections(in, pe, section_count));
  TRY(check_sections(pe));
  TRY(check_certificate_table(pe));
  return pe;
}

}  // namespace ingot::codec
