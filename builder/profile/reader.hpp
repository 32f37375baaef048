// A TOML table read strictly: every value with its place, every mistake with what was expected.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::builder::detail {

template <typename T>
struct Located {
  T value{};
  TextLocation at;
};
using LocatedTexts = std::vector<Located<std::string>>;

TextLocation location(const toml::source_region& region, const std::string& file);

/// An error of the profile's text: always `malformed`, always with its place.
tl::unexpected<Error> wrong(const TextLocation& at, std::string message, std::string remedy = {});

/// A whole TOML file.
Result<toml::table> parse_toml(const std::string& path);

/// The candidate that is at most a third of its letters away from `text` (Levenshtein); empty when none is.
std::string nearest(std::string_view text, const std::vector<std::string_view>& candidates);

/// "512MiB", "1 GiB", "4096B"; an error names the units.
Result<std::uint64_t> parse_size(std::string_view text);

struct NamedTable;

class TableReader {
 public:
  /// `name` as people write it: "[disk]"; empty for the top of the file.
  TableReader(const toml::table& table, std::string file, std::string name)
      : table_(table), file_(std::move(file)), name_(std::move(name)) {}

  /// An error at the first key that is none of these, with the nearest of them.
  Result<void> only(const std::vector<std::string_view>& keys) const;

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  [[nodiscard]] TextLocation at() const { return location(table_.source(), file_); }
  /// Where the key itself stands. Precondition: has(key).
  [[nodiscard]] TextLocation at(std::string_view key) const;

  // Nothing when the key is not there; an error when its value is of another type or out of range.
  Result<std::optional<Located<std::string>>> text(std::string_view key) const;
  Result<std::optional<Located<std::int64_t>>> integer(std::string_view key, std::int64_t least,
                                                       std::int64_t most) const;
  Result<std::optional<Located<bool>>> boolean(std::string_view key) const;
  /// An offset date-time, as seconds since 1970.
  Result<std::optional<Located<std::int64_t>>> time(std::string_view key) const;
  Result<std::optional<LocatedTexts>> texts(std::string_view key) const;
  /// An integer of bytes or a text with a unit.
  Result<std::optional<Located<std::uint64_t>>> size(std::string_view key) const;
  Result<std::optional<TableReader>> table(std::string_view key) const;
  /// [[key]]: in the order of the file; none when the key is not there.
  Result<std::vector<TableReader>> tables(std::string_view key) const;
  /// [key.NAME]: by name; none when the key is not there.
  Result<std::vector<NamedTable>> named_tables(std::string_view key) const;

  [[nodiscard]] const toml::table& raw() const { return table_; }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  [[nodiscard]] tl::unexpected<Error> type_error(std::string_view key, const toml::node& node,
                                                 std::string_view expected) const;
  [[nodiscard]] std::string full_name(std::string_view key) const;

  const toml::table& table_;
  std::string file_;
  std::string name_;
};

struct NamedTable {
  Located<std::string> name;
  TableReader table;
};

}  // namespace ingot::builder::detail
