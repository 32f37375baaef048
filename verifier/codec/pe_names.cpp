#include "ingot/codec/pe_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint64_t symbol_table_field = 12;  // "COFF File Header", from "PE\0\0": PointerToSymbolTable
constexpr std::uint64_t symbol_bytes = 18;        // "COFF Symbol Table"
constexpr std::uint64_t name_cap_bytes = 64;

/// "COFF String Table": behind the symbols; its first four bytes are its size, which counts them.
struct StringTable {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
Result<StringTable> string_table(const ByteSource& file, const Pe& pe) {
  StringTable table;
  const auto fields = TRY(read_part(file, pe.pe_header_offset + symbol_table_field, 8, 8));
  Reader symbols{fields};
  table.offset = symbols.u32le();
  if (table.offset == 0)
    return fail(ErrorCode::malformed, "section names of more than 8 characters, and no symbol table");
  table.offset += symbols.u32le() * symbol_bytes;
  const auto head = TRY(read_part(file, table.offset, 4, 4));
  Reader in{head};
  table.size = in.u32le();
  if (table.size < 4 || table.size > file.size() - table.offset)
    return fail(ErrorCode::malformed,
                fmt::format("a string table of {} bytes, which the file does not have", table.size));
  return table;
}

Result<std::string> long_name(const ByteSource& file, const StringTable& table, std::string_view place) {
  std::uint64_t at = 0;
  const auto [end, error] = std::from_chars(place.data(), place.data() + place.size(), at);
  if (error != std::errc{} || end != place.data() + place.size() || at < 4 || at >= table.size)
    return fail(ErrorCode::malformed, fmt::format("the section name \"/{}\" is no place in the string table", place));
  const auto bytes = TRY(read_part(file, table.offset + at, std::min(name_cap_bytes, table.size - at), name_cap_bytes));
  const auto text = as_text(bytes);
  return std::string(text.substr(0, text.find('\0')));
}

}  // namespace

Result<const PeSection*> find_long_section(const ByteSource& file, const Pe& pe, std::string_view name) {
  if (const auto* section = pe.find(name)) return section;
  std::optional<StringTable> table;
  for (const auto& section : pe.sections) {
    if (!section.name.starts_with('/')) continue;
    if (!table) table = TRY(string_table(file, pe));
    if (TRY(long_name(file, *table, std::string_view(section.name).substr(1))) == name) return &section;
  }
  return nullptr;
}

}  // namespace ingot::codec
