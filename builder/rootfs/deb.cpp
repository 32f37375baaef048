#include "deb.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "archive.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::size_t control_archive_cap_bytes = 64u << 20;
constexpr std::size_t control_cap_bytes = 1u << 20;

/// The data of the current entry.
Result<Buffer> read_entry(archive* handle, std::size_t cap_bytes) {
  Buffer out;
  Buffer chunk(64u << 10);
  for (;;) {
    const auto got = archive_read_data(handle, chunk.data(), chunk.size());
    if (got < 0) return fail(archive_failure(handle, "reading a member"));
    if (got == 0) return out;
    if (static_cast<std::size_t>(got) > cap_bytes - out.size())
      return fail(ErrorCode::limit, fmt::format("a member of more than {} bytes", cap_bytes));
    out.insert(out.end(), chunk.begin(), chunk.begin() + got);
  }
}

/// The first entry whose name, without "./", starts with `prefix`.
Result<Buffer> find_entry(archive* handle, std::string_view prefix, std::size_t cap_bytes) {
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(handle, &entry);
    if (status == ARCHIVE_EOF) return fail(ErrorCode::malformed, fmt::format("it has no {}", prefix));
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return fail(archive_failure(handle, "it is no Debian package"));
    std::string_view name = archive_entry_pathname(entry) != nullptr ? archive_entry_pathname(entry) : "";
    if (name.starts_with("./")) name.remove_prefix(2);
    if (name.starts_with(prefix)) return read_entry(handle, cap_bytes);
  }
}

Result<std::string> read_control_of(const std::string& deb_path) {
  const ArchiveReader outer(archive_read_new());
  (void)archive_read_support_format_ar(outer.get());
  if (archive_read_open_filename(outer.get(), deb_path.c_str(), 64u << 10) != ARCHIVE_OK)
    return fail(archive_failure(outer.get(), "opening it"));
  const auto members = TRY(find_entry(outer.get(), "control.tar", control_archive_cap_bytes));
  const ArchiveReader inner(archive_read_new());
  (void)archive_read_support_filter_all(inner.get());
  (void)archive_read_support_format_tar(inner.get());
  if (archive_read_open_memory(inner.get(), members.data(), members.size()) != ARCHIVE_OK)
    return fail(archive_failure(inner.get(), "opening its control archive"));
  const auto control = TRY(find_entry(inner.get(), "control", control_cap_bytes));
  return std::string(as_text(control));
}

}  // namespace

Result<std::string> read_control(const std::string& deb_path) { return TRY_IN(deb_path, read_control_of(deb_path)); }

std::map<std::string, std::string> control_fields(std::string_view paragraph) {
  std::map<std::string, std::string> fields;
  std::string* last = nullptr;
  while (!paragraph.empty()) {
    const auto line = paragraph.substr(0, paragraph.find('\n'));
    paragraph.remove_prefix(std::min(paragraph.size(), line.size() + 1));
    if (line.starts_with(' ') || line.starts_with('\t')) {
      if (last != nullptr) *last += fmt::format("\n{}", line);
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    last = &(fields[std::string(line.substr(0, colon))] = std::string(value));
  }
  return fields;
}

}  // namespace ingot::builder::detail
