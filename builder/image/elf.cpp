#include "elf.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view magic = "\177ELF";
constexpr std::uint64_t header_bytes = 64;
constexpr std::uint64_t program_header_bytes = 56;
constexpr std::uint64_t dynamic_entry_bytes = 16;
constexpr std::uint64_t dynamic_cap_bytes = 64u << 10;
constexpr std::uint64_t path_cap_bytes = 4096;
constexpr std::size_t library_cap = 512;

// "Program Header", p_type.
constexpr std::uint32_t pt_load = 1;
constexpr std::uint32_t pt_dynamic = 2;
constexpr std::uint32_t pt_interp = 3;
// "Dynamic Section", d_tag.
constexpr std::uint64_t dt_null = 0;
constexpr std::uint64_t dt_needed = 1;
constexpr std::uint64_t dt_strtab = 5;
constexpr std::uint64_t dt_strsz = 10;
constexpr std::uint64_t dt_rpath = 15;
constexpr std::uint64_t dt_runpath = 29;

struct Segment {
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_size = 0;
};

Error malformed(std::string message) {
  return Error{ErrorCode::malformed, std::move(message), {}, std::nullopt, std::nullopt};
}

Result<std::vector<Segment>> read_segments(const ByteSource& file, Bytes header) {
  Reader in{header};
  in.skip(4);
  const auto elf_class = in.u8();
  const auto encoding = in.u8();
  in.skip(26);
  const auto table_offset = in.u64le();
  in.skip(14);
  const auto entry_size = in.u16le();
  const auto count = in.u16le();
  constexpr std::uint8_t class_64 = 2;
  constexpr std::uint8_t little_endian = 1;
  if (elf_class != class_64 || encoding != little_endian)
    return fail(ErrorCode::unsupported, "an ELF file that is not 64-bit little-endian");
  if (count == 0) return std::vector<Segment>{};
  if (entry_size != program_header_bytes)
    return fail(malformed(fmt::format("ELF program headers of {} bytes, not 56", entry_size)));
  const auto table =
      TRY(read_part(file, table_offset, count * program_header_bytes, UINT16_MAX * program_header_bytes));
  Reader rows{table};
  std::vector<Segment> segments;
  for (unsigned i = 0; i < count; ++i) {
    Segment segment;
    segment.type = rows.u32le();
    rows.skip(4);
    segment.offset = rows.u64le();
    segment.address = rows.u64le();
    rows.skip(8);
    segment.file_size = rows.u64le();
    rows.skip(16);
    segments.push_back(segment);
  }
  return rows.finish(std::move(segments));
}

/// Where an address of the loaded program lies in the file.
Result<std::uint64_t> file_offset(const std::vector<Segment>& segments, std::uint64_t address, std::uint64_t size) {
  for (const auto& segment : segments)
    if (segment.type == pt_load && address >= segment.address && address - segment.address <= segment.file_size &&
        size <= segment.file_size - (address - segment.address))
      return segment.offset + (address - segment.address);
  return fail(malformed("the ELF string table lies in no segment"));
}

struct Dynamic {
  std::vector<std::uint64_t> needed;
  std::optional<std::uint64_t> search;
  std::uint64_t strings_address = 0;
  std::uint64_t strings_size = 0;
};

Result<Dynamic> read_dynamic(Bytes section) {
  Dynamic out;
  std::optional<std::uint64_t> rpath;
  std::optional<std::uint64_t> runpath;
  Reader in{section};
  while (in.left() >= dynamic_entry_bytes) {
    const auto tag = in.u64le();
    const auto value = in.u64le();
    if (tag == dt_null) break;
    if (tag == dt_needed) out.needed.push_back(value);
    if (tag == dt_strtab) out.strings_address = value;
    if (tag == dt_strsz) out.strings_size = value;
    if (tag == dt_rpath) rpath = value;
    if (tag == dt_runpath) runpath = value;
    if (out.needed.size() > library_cap)
      return fail(ErrorCode::limit, fmt::format("an ELF file that needs more than {} libraries", library_cap));
  }
  out.search = runpath ? runpath : rpath;
  return out;
}

class Strings {
 public:
  Strings(const ByteSource& file, std::uint64_t offset, std::uint64_t size)
      : file_(file), offset_(offset), size_(size) {}
  [[nodiscard]] Result<std::string> at(std::uint64_t index) const {
    if (index >= size_) return fail(malformed("an ELF string lies outside the string table"));
    const auto bytes = TRY(read_part(file_, offset_ + index, std::min(size_ - index, path_cap_bytes), path_cap_bytes));
    const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
    if (end == bytes.end()) return fail(malformed("an ELF string without an end"));
    return std::string(bytes.begin(), end);
  }

 private:
  const ByteSource& file_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

Result<ElfNeeds> read_needs(const ByteSource& file, const std::vector<Segment>& segments) {
  ElfNeeds needs;
  for (const auto& segment : segments) {
    if (segment.type == pt_interp) {
      const auto text = TRY(read_part(file, segment.offset, segment.file_size, path_cap_bytes));
      needs.interpreter = std::string(as_text(text));
      needs.interpreter.erase(std::min(needs.interpreter.find('\0'), needs.interpreter.size()));
    }
    if (segment.type != pt_dynamic) continue;
    const auto dynamic = TRY(read_dynamic(TRY(read_part(file, segment.offset, segment.file_size, dynamic_cap_bytes))));
    if (dynamic.needed.empty() && !dynamic.search) continue;
    const Strings strings(file, TRY(file_offset(segments, dynamic.strings_address, dynamic.strings_size)),
                          dynamic.strings_size);
    for (const auto index : dynamic.needed) needs.libraries.push_back(TRY(strings.at(index)));
    if (!dynamic.search) continue;
    const auto search = TRY(strings.at(*dynamic.search));
    for (std::size_t from = 0; from <= search.size();) {
      const auto end = std::min(search.find(':', from), search.size());
      if (end > from) needs.search.push_back(search.substr(from, end - from));
      from = end + 1;
    }
  }
  return needs;
}

}  // namespace

Result<std::optional<ElfNeeds>> read_elf(const ByteSource& file) {
  if (file.size() < magic.size()) return std::nullopt;
  const auto start = TRY(read_part(file, 0, magic.size(), magic.size()));
  if (as_text(start) != magic) return std::nullopt;
  const auto header = TRY(read_part(file, 0, header_bytes, header_bytes));
  return std::optional(TRY(read_needs(file, TRY(read_segments(file, header)))));
}

}  // namespace ingot::builder::detail
