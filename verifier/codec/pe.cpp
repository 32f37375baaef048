#include "ingot/codec/pe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint32_t section_cap = 96;  // "COFF File Header": the loader's limit
constexpr std::uint64_t header_cap_bytes = 64u << 10;
constexpr std::uint16_t pe32_plus = 0x020B;
constexpr std::uint16_t machine_x86_64 = 0x8664;
constexpr std::uint16_t machine_aarch64 = 0xAA64;
constexpr std::uint32_t security_directory = 4;  // "Optional Header Data Directories": Certificate Table
constexpr std::uint64_t signature_cap_bytes = 1u << 20;
constexpr std::size_t certificate_count_cap = 16;

Error malformed(std::string message, std::uint64_t offset) {
  return Error{ErrorCode::malformed, std::move(message), {}, offset, std::nullopt};
}

std::string section_name(Bytes raw) {
  std::string name(as_text(raw));
  name.erase(std::min(name.find('\0'), name.size()));
  return name;
}

/// "Section Table". `in` stands at the first header.
std::vector<PeSection> read_sections(Reader& in, std::uint32_t count) {
  std::vector<PeSection> sections;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    PeSection section;
    section.name = section_name(in.bytes(8));
    section.virtual_size = in.u32le();
    section.virtual_address = in.u32le();
    section.raw_size = in.u32le();
    section.raw_offset = in.u32le();
    in.skip(12);
    section.characteristics = in.u32le();
    sections.push_back(std::move(section));
  }
  return sections;
}

/// True when two of the [first, first + size) ranges share a byte. Empty ranges overlap nothing.
bool any_overlap(std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges) {
  std::erase_if(ranges, [](const auto& range) { return range.second == 0; });
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i - 1].first + ranges[i - 1].second > ranges[i].first) return true;
  return false;
}

Result<void> check_layout(const Pe& pe) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> in_file = {{0, pe.size_of_headers}};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> in_memory = {{0, pe.size_of_headers}};
  if (pe.size_of_headers > pe.file_size) return fail(malformed("the headers are larger than the file", pe.optional_header_offset));
  for (const auto& section : pe.sections) {
    if (section.raw_size != 0 && std::uint64_t{section.raw_offset} + section.raw_size > pe.file_size)
      return fail(malformed(fmt::format("truncated: section {} ends behind the end of the file", section.name), section.raw_offset));
    in_file.emplace_back(section.raw_offset, section.raw_size);
    in_memory.emplace_back(section.virtual_address, std::max(section.virtual_size, section.raw_size == 0 ? section.virtual_size : 1u));
  }
  if (any_overlap(std::move(in_file))) return fail(malformed("sections overlap in the file", pe.section_table_offset));
  if (any_overlap(std::move(in_memory))) return fail(malformed("sections overlap in memory", pe.section_table_offset));
  if (pe.certificate_table_size == 0) return {};
  if (pe.certificate_table_offset > pe.file_size || pe.certificate_table_size > pe.file_size - pe.certificate_table_offset)
    return fail(malformed("the certificate table ends behind the end of the file", pe.security_directory_offset));
  for (const auto& section : pe.sections)
    if (section.raw_size != 0 && section.raw_offset + std::uint64_t{section.raw_size} > pe.certificate_table_offset)
      return fail(malformed(fmt::format("the certificate table overlaps section {}", section.name), pe.security_directory_offset));
  return {};
}

}  // namespace

const PeSection* Pe::find(std::string_view name) const {
  const auto found = std::find_if(sections.begin(), sections.end(), [&](const PeSection& section) { return section.name == name; });
  return found == sections.end() ? nullptr : &*found;
}

Result<Pe> decode_pe(const ByteSource& file) {
  Pe pe;
  pe.file_size = file.size();
  const auto head = TRY(read_part(file, 0, std::min(file.size(), header_cap_bytes), header_cap_bytes));
  Reader dos{head};
  const std::uint16_t mz = dos.u16le();
  dos.skip(58);
  pe.pe_header_offset = dos.u32le();
  if (!dos.ok()) return fail(dos.error());
  if (mz != 0x5A4D) return fail(malformed("not a PE file: it does not start with \"MZ\"", 0));
  if (pe.pe_header_offset > head.size()) return fail(malformed("truncated: the PE header lies behind the end of the file", 60));

  Reader in{Bytes(head).subspan(pe.pe_header_offset)};
  const std::uint32_t signature = in.u32le();
  pe.machine = in.u16le();
  const std::uint32_t section_count = in.u16le();
  in.skip(12);
  const std::uint32_t optional_size = in.u16le();
  in.skip(2);
  pe.optional_header_offset = pe.pe_header_offset + 24;
  const std::uint16_t magic = in.u16le();
  if (!in.ok()) return fail(in.error());
  if (signature != 0x00004550) return fail(malformed("not a PE file: no \"PE\" signature", pe.pe_header_offset));
  if (pe.machine != machine_x86_64 && pe.machine != machine_aarch64)
    return fail(ErrorCode::unsupported, fmt::format("a PE file for machine 0x{:04x}; x86-64 and AArch64 are handled", pe.machine));
  if (magic != pe32_plus) return fail(ErrorCode::unsupported, "a 32-bit PE file; UEFI on x86-64 and AArch64 starts PE32+ only");
  if (section_count > section_cap) return fail(malformed(fmt::format("{} sections, 96 are the most", section_count), pe.pe_header_offset + 6));

  // "Optional Header Windows-Specific Fields" of PE32+, offsets from the start of the optional header.
  in.skip(30);
  pe.section_alignment = in.u32le();
  pe.file_alignment = in.u32le();
  in.skip(16);
  pe.size_of_image = in.u32le();
  pe.size_of_headers = in.u32le();
  pe.checksum_offset = pe.optional_header_offset + 64;
  in.skip(44);
  const std::uint32_t directories = in.u32le();
  pe.security_directory_offset = pe.optional_header_offset + 112 + security_directory * 8;
  pe.section_table_offset = pe.optional_header_offset + optional_size;
  if (!in.ok()) return fail(in.error());
  if (directories <= security_directory || optional_size < 112 + (security_directory + 1) * 8)
    return fail(malformed("the optional header has no room for a certificate table entry", pe.optional_header_offset + 108));
  in.skip(security_directory * 8);
  pe.certificate_table_offset = in.u32le();
  pe.certificate_table_size = in.u32le();
  if (!in.ok()) return fail(in.error());
  if (pe.section_table_offset > head.size()) return fail(malformed("truncated: the section table lies behind the end of the file", pe.optional_header_offset));
  Reader table{Bytes(head).subspan(pe.section_table_offset)};
  pe.sections = read_sections(table, section_count);
  if (!table.ok()) return fail(malformed("truncated: the section table is cut off", pe.section_table_offset));
  if (pe.section_table_offset + std::uint64_t{section_count} * 40 > pe.size_of_headers)
    return fail(malformed("the section table is larger than SizeOfHeaders says", pe.optional_header_offset + 60));
  TRY(check_layout(pe));
  return pe;
}

// "Attribute Certificate Table": each entry starts on 8 bytes; dwLength counts its own header.
Result<std::vector<Buffer>> pe_signatures(const ByteSource& file, const Pe& pe) {
  std::vector<Buffer> signatures;
  const auto table = TRY(read_part(file, pe.certificate_table_offset, pe.certificate_table_size, signature_cap_bytes));
  for (std::size_t at = 0; table.size() - at >= 8;) {
    Reader in{Bytes(table).subspan(at)};
    const std::uint32_t length = in.u32le();
    in.skip(2);
    const std::uint16_t type = in.u16le();
    if (length < 8 || length > table.size() - at) return fail(malformed("a certificate's length does not fit its table", pe.certificate_table_offset + at));
    if (signatures.size() >= certificate_count_cap) return fail(ErrorCode::limit, "more than 16 signatures");
    constexpr std::uint16_t pkcs_signed_data = 0x0002;
    if (type == pkcs_signed_data) signatures.push_back(to_buffer(in.bytes(length - 8)));
    const std::size_t aligned = (std::size_t{length} + 7) / 8 * 8;
    if (aligned >= table.size() - at) break;
    at += aligned;
  }
  return signatures;
}

}  // namespace ingot::codec
