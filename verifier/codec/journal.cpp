#include "ingot/codec/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ingot/base/reader.hpp"

namespace ingot::codec {
namespace {

/// A text value has no length before it; what is longer than this without a line feed is no text.
constexpr std::size_t line_cap_bytes = 1u << 20;
/// systemd-journal-remote's DATA_SIZE_MAX: it would refuse a larger one.
constexpr std::uint64_t binary_cap_bytes = std::uint64_t{768} << 20;

bool is_field_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
}

}  // namespace

Result<bool> JournalExportReader::fill() {
  auto next = TRY(more_());
  if (next.empty()) return false;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  buffer_.insert(buffer_.end(), next.begin(), next.end());
  return true;
}

Result<std::optional<std::string>> JournalExportReader::line() {
  std::size_t searched = at_;
  while (true) {
    const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(searched);
    const auto end = std::find(from, buffer_.end(), std::uint8_t{'\n'});
    if (end != buffer_.end()) {
      std::string text(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), end);
      offset_ += text.size() + 1;
      at_ += text.size() + 1;
      return text;
    }
    const auto unread = buffer_.size() - at_;
    if (unread > line_cap_bytes)
      return fail(Error{ErrorCode::malformed, "a line of more than 1 MiB in a journal export", {}, offset_, {}});
    if (TRY(fill())) {
      searched = unread;
      continue;
    }
    if (unread == 0) return std::nullopt;
    return fail(Error{ErrorCode::malformed, "a journal export is cut off in a line", {}, offset_, {}});
  }
}

/// The first bytes of so many, up to the cap; all are consumed.
Result<std::string> JournalExportReader::take(std::uint64_t size_bytes) {
  std::string out;
  while (size_bytes > 0) {
    if (at_ == buffer_.size() && !TRY(fill()))
      return fail(Error{ErrorCode::malformed, "a journal export is cut off in a binary field", {}, offset_, {}});
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(size_bytes, buffer_.size() - at_));
    const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(at_);
    const auto kept = std::min(step, journal_value_cap_bytes - std::min(journal_value_cap_bytes, out.size()));
    out.append(from, from + static_cast<std::ptrdiff_t>(kept));
    at_ += step;
    offset_ += step;
    size_bytes -= step;
  }
  return out;
}

/// "NAME\n", 64-bit size in little endian, data, "\n".
Result<void> JournalExportReader::read_binary(JournalRecord& record, const std::string& name) {
  const auto size_text = TRY(take(8));
  Reader reader(as_bytes(size_text));
  const auto size = reader.u64le();
  if (size > binary_cap_bytes)
    return fail(Error{ErrorCode::malformed, fmt::format("field {} claims {} bytes", name, size), {}, offset_, {}});
  auto value = TRY(take(size));
  if (TRY(take(1)) != "\n")
    return fail(Error{ErrorCode::malformed, fmt::format("no line feed behind field {}", name), {}, offset_, {}});
  record.emplace(name, std::move(value));
  return {};
}

Result<std::optional<JournalRecord>> JournalExportReader::next() {
  JournalRecord record;
  while (true) {
    const auto start = offset_;
    auto text = TRY(line());
    if (!text || text->empty()) {
      if (!record.empty()) return record;
      if (!text) return std::nullopt;
      continue;  // any number of empty lines separates records
    }
    const auto equals = text->find('=');
    const auto name = text->substr(0, equals);
    if (!is_field_name(name))
      return fail(Error{ErrorCode::malformed, "a line that starts with no field's name", {}, start, {}});
    if (record.size() == journal_fields_cap)
      return fail(Error{ErrorCode::limit, "a record of more than 1024 fields", {}, start, {}});
    if (equals == std::string::npos)
      TRY(read_binary(record, name));
    else
      record.emplace(name, text->substr(equals + 1, journal_value_cap_bytes));
  }
}

Result<void> JournalExportReader::skip() {
  bool is_line_start = at_ > 0 && buffer_[at_ - 1] == '\n';
  while (at_ < buffer_.size() || TRY(fill())) {
    const bool is_line_feed = buffer_[at_] == '\n';
    ++at_;
    ++offset_;
    if (is_line_feed && is_line_start) return {};
    is_line_start = is_line_feed;
  }
  return {};
}

// "Header" of JOURNAL_FILE_FORMAT.md: signature at 0, head_entry_realtime at 184, tail_entry_realtime at 192.
Result<JournalFileTimes> decode_journal_header(Bytes header) {
  constexpr std::string_view signature = "LPKSHHRH";
  constexpr std::size_t times_offset = 184;
  if (header.size() < journal_header_bytes || as_text(header.first(8)) != signature)
    return fail(ErrorCode::malformed, "not a journal file");
  Reader reader(header.subspan(times_offset, 16));
  JournalFileTimes times;
  times.first_usec = reader.u64le();
  times.last_usec = reader.u64le();
  return reader.finish(times);
}

Result<std::uint64_t> decode_upload_state(std::string_view text) {
  constexpr std::string_view key = "LAST_CURSOR=";
  auto cursor = text;
  while (!cursor.empty() && !cursor.starts_with(key)) {
    const auto end = cursor.find('\n');
    cursor = end == std::string_view::npos ? std::string_view{} : cursor.substr(end + 1);
  }
  cursor = cursor.substr(0, cursor.find('\n'));
  const auto at = cursor.find(";t=");
  std::uint64_t time = 0;
  if (at == std::string_view::npos) return fail(ErrorCode::malformed, "the state of the upload holds no cursor");
  const auto digits = cursor.substr(at + 3, cursor.find(';', at + 3) - at - 3);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), time, 16);
  if (code != std::errc{} || digits.empty() || end != digits.data() + digits.size())
    return fail(ErrorCode::malformed, "the cursor of the upload has no time");
  return time;
}

}  // namespace ingot::codec
