// What systemd's journal says outside of systemd. Formats: "Journal Export Formats" and "Journal File Format" of
// systemd's documentation (JOURNAL_EXPORT_FORMATS.md, JOURNAL_FILE_FORMAT.md).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

/// Fields of one record. Untrusted: a node may write anything, the fields with a leading underscore included. A field
/// that comes several times keeps its first value; values longer than `journal_value_cap_bytes` are cut there.
using JournalRecord = std::map<std::string, std::string, std::less<>>;
inline constexpr std::size_t journal_value_cap_bytes = 64u << 10;
inline constexpr std::size_t journal_fields_cap = 1024;  ///< of a record; systemd's own limit

/// Decodes the Journal Export Format as it comes. Errors (malformed) at the first byte that is not of the format, and
/// for a record that is cut off.
class JournalExportReader {
 public:
  /// `more` gives the next bytes, none at the end.
  explicit JournalExportReader(std::function<Result<Buffer>()> more) : more_(std::move(more)) {}
  /// Nothing at the end.
  Result<std::optional<JournalRecord>> next();
  /// After a record that is malformed or too large: goes on behind the next empty line, or at the end. Errors: those of
  /// `more`.
  Result<void> skip();

 private:
  Result<bool> fill();
  Result<std::optional<std::string>> line();
  Result<std::string> take(std::uint64_t size_bytes);
  Result<void> read_binary(JournalRecord& record, const std::string& name);

  std::function<Result<Buffer>()> more_;
  Buffer buffer_;
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;  ///< of `at_` in the input
};

/// The times in a journal file's header, microseconds since 1970; 0: the file has no record.
struct JournalFileTimes {
  std::uint64_t first_usec = 0;
  std::uint64_t last_usec = 0;
};
/// From the first `journal_header_bytes` of a file; error (malformed) when it is no journal file.
Result<JournalFileTimes> decode_journal_header(Bytes header);
inline constexpr std::size_t journal_header_bytes = 208;

/// Time of the record that a cursor points at ("...;t=HEX;..."), microseconds since 1970, from the state file of
/// systemd-journal-upload; error (malformed) when it holds none.
Result<std::uint64_t> decode_upload_state(std::string_view text);

}  // namespace ingot::codec
