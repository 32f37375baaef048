#include "ingot/codec/module_info.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t file_header_bytes = 64;
constexpr std::size_t section_header_bytes = 64;
constexpr std::size_t modinfo_cap_bytes = 1u << 20;
constexpr std::size_t depends_cap = 256;

// "File Header": e_ident and e_type.
constexpr std::string_view magic = "\177ELF";
constexpr std::uint8_t class_64 = 2;
constexpr std::uint8_t little_endian = 1;
constexpr std::uint16_t type_relocatable = 1;

Error malformed(std::string message, std::size_t at) {
  return Error{ErrorCode::malformed, std::move(message), "give a kernel module (.ko)", at, std::nullopt};
}

Result<Bytes> window(Bytes file, std::uint64_t offset, std::uint64_t size, std::string_view what) {
  if (offset > file.size() || size > file.size() - offset)
    return fail(malformed(fmt::format("{} of the object file lies outside it", what), file.size()));
  return file.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

struct Section {
  std::uint32_t name = 0;  ///< offset in the table of names
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

Section read_section(Bytes header) {
  Reader in{header};
  Section section;
  section.name = in.u32le();
  in.skip(20);  // type, flags, address
  section.offset = in.u64le();
  section.size = in.u64le();
  return section;
}

struct SectionTable {
  Bytes headers;
  std::uint16_t names = 0;  ///< index of the section with the names
};

Result<SectionTable> section_table(Bytes file) {
  if (file.size() < file_header_bytes || as_text(file.first(magic.size())) != magic)
    return fail(malformed("not an ELF file", 0));
  Reader in{file.first(file_header_bytes)};
  in.skip(4);
  const auto elf_class = in.u8();
  const auto encoding = in.u8();
  in.skip(10);
  const auto type = in.u16le();
  in.skip(22);  // machine, version, entry, program headers
  const auto offset = in.u64le();
  in.skip(10);
  const auto entry_bytes = in.u16le();
  const auto count = in.u16le();
  const auto names = in.u16le();
  if (elf_class != class_64 || encoding != little_endian || type != type_relocatable)
    return fail(malformed("an ELF file, but no 64-bit little-endian object file", 4));
  if (entry_bytes != section_header_bytes || names >= count)
    return fail(malformed("an object file without a table of sections", 58));
  return SectionTable{TRY(window(file, offset, count * section_header_bytes, "the table of sections")), names};
}

Result<Bytes> modinfo_section(Bytes file) {
  const auto table = TRY(section_table(file));
  const auto at = [&](std::size_t index) {
    return read_section(table.headers.subspan(index * section_header_bytes, section_header_bytes));
  };
  const auto names_at = at(table.names);
  const auto names = TRY(window(file, names_at.offset, names_at.size, "the sections' names"));
  constexpr std::string_view wanted(".modinfo\0", 9);
  for (std::size_t i = 0; i * section_header_bytes < table.headers.size(); ++i) {
    const auto section = at(i);
    if (section.name > names.size() || !as_text(names.subspan(section.name)).starts_with(wanted)) continue;
    if (section.size > modinfo_cap_bytes)
      return fail(ErrorCode::limit,
                  fmt::format(".modinfo of {} bytes, {} are allowed", section.size, modinfo_cap_bytes));
    return window(file, section.offset, section.size, ".modinfo");
  }
  return fail(malformed("an object file without .modinfo, so no kernel module", 0));
}

/// In /proc/modules and in what others depend on, "-" is "_".
std::string canonical(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

Result<std::vector<std::string>> names_of(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (comma != 0) names.push_back(canonical(list.substr(0, comma)));
    if (names.size() > depends_cap)
      return fail(ErrorCode::limit, fmt::format("a module that depends on more than {} others", depends_cap));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

}  // namespace

Result<ModuleInfo> decode_module_info(Bytes module) {
  auto text = as_text(TRY(modinfo_section(module)));
  ModuleInfo info;
  while (!text.empty()) {
    const auto one = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    const auto sign = one.find('=');
    if (sign == one.npos) continue;
    const auto key = one.substr(0, sign);
    const auto value = one.substr(sign + 1);
    if (key == "name") info.name = canonical(value);
    if (key == "vermagic") info.vermagic = value;
    if (key == "depends") info.depends = TRY(names_of(value));
    if (key == "intree") info.in_tree = value.starts_with('Y');
  }
  if (info.name.empty() || info.vermagic.empty())
    return fail(malformed("a .modinfo without the module's name or without vermagic", 0));
  return info;
}

}  // namespace ingot::codec
