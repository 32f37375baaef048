#include "reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <numeric>

#include "ingot/base/source.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::uint64_t file_cap_bytes = 1u << 20;

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::none:
      return "nothing";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
  }
  return "something else";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

TextLocation location(const toml::source_region& region, const std::string& file) {
  return {file, region.begin.line, region.begin.column};
}

tl::unexpected<Error> wrong(const TextLocation& at, std::string message, std::string remedy) {
  return fail(Error{ErrorCode::malformed, std::move(message), std::move(remedy), std::nullopt, at});
}

Result<toml::table> parse_toml(const std::string& path) {
  const auto bytes = TRY(read_file(path, file_cap_bytes));
  try {
    return toml::parse(as_text(bytes), path);
  } catch (const toml::parse_error& error) {
    return wrong(location(error.source(), path), std::string(error.description()));
  } catch (const std::exception& error) {
    return fail(ErrorCode::malformed, fmt::format("{}: {}", path, error.what()));
  }
}

std::string nearest(std::string_view text, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t least = SIZE_MAX;
  for (const auto candidate : candidates) {
    const auto distance = edit_distance(text, candidate);
    const auto allowed = std::max<std::size_t>(1, candidate.size() / 3);
    if (distance > allowed || distance >= least) continue;
    best = candidate;
    least = distance;
  }
  return std::string(best);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::pair<std::string_view, unsigned> units[] = {
      {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& [name, shift] : units) {
    if (code != std::errc{} || unit != name) continue;
    if (number > (UINT64_MAX >> shift)) return fail(ErrorCode::malformed, fmt::format("\"{}\" is too large", text));
    return number << shift;
  }
  return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a size", text),
              "write a whole number and B, KiB, MiB, GiB or TiB: \"512MiB\"");
}

std::string TableReader::full_name(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{} of {}", key, name_);
}

TextLocation TableReader::at(std::string_view key) const {
  const auto found = table_.find(key);
  return found == table_.end() ? at() : location(found->first.source(), file_);
}

Result<void> TableReader::only(const std::vector<std::string_view>& keys) const {
  // A table keeps its keys by name; the first in the text is what a person wants to hear of.
  const toml::key* first = nullptr;
  for (const auto& [key, node] : table_) {
    if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
    const auto where = [](const toml::key& k) { return std::pair(k.source().begin.line, k.source().begin.column); };
    if (first == nullptr || where(key) < where(*first)) first = &key;
  }
  if (first == nullptr) return {};
  const auto close = nearest(first->str(), keys);
  return wrong(location(first->source(), file_),
               fmt::format("unknown key \"{}\"{}{}", first->str(), name_.empty() ? "" : " in ", name_),
               close.empty() ? fmt::format("valid here: {}", fmt::join(keys, ", "))
                             : fmt::format("did you mean \"{}\"?", close));
}

tl::unexpected<Error> TableReader::type_error(std::string_view key, const toml::node& node,
                                              std::string_view expected) const {
  return wrong(location(node.source(), file_),
               fmt::format("{} is {}, expected {}", full_name(key), type_name(node), expected));
}

Result<std::optional<Located<std::string>>> TableReader::text(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_string();
  if (value == nullptr) return type_error(key, *node, "a string");
  return Located<std::string>{value->get(), location(node->source(), file_)};
}

Result<std::optional<Located<std::int64_t>>> TableReader::integer(std::string_view key, std::int64_t least,
                                                                  std::int64_t most) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value == nullptr) return type_error(key, *node, "an integer");
  const auto at = location(node->source(), file_);
  if (value->get() < least || value->get() > most)
    return wrong(at, fmt::format("{} is {}, expected {} to {}", full_name(key), value->get(), least, most));
  return Located<std::int64_t>{value->get(), at};
}

Result<std::optional<Located<std::int64_t>>> TableReader::time(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_date_time();
  if (value == nullptr || !value->get().offset)
    return type_error(key, *node, "a time with its offset such as 2027-06-01T00:00:00Z");
  const auto& [date, time, offset] = value->get();
  const std::chrono::sys_days day{std::chrono::year{date.year} / date.month / date.day};
  const auto seconds = std::chrono::seconds(day.time_since_epoch()).count() + time.hour * 3600 + time.minute * 60 +
                       time.second - offset->minutes * 60;
  const auto at = location(node->source(), file_);
  if (seconds <= 0) return wrong(at, fmt::format("{} is before 1970", full_name(key)));
  return Located<std::int64_t>{seconds, at};
}

Result<std::optional<Located<bool>>> TableReader::boolean(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_boolean();
  if (value == nullptr) return type_error(key, *node, "true or false");
  return Located<bool>{value->get(), location(node->source(), file_)};
}

Result<std::optional<LocatedTexts>> TableReader::texts(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* values = node->as_array();
  if (values == nullptr) return type_error(key, *node, "an array of strings");
  LocatedTexts out;
  for (const auto& element : *values) {
    const auto* value = element.as_string();
    if (value == nullptr) return type_error(fmt::format("an element of {}", key), element, "a string");
    out.push_back({value->get(), location(element.source(), file_)});
  }
  return out;
}

Result<std::optional<Located<std::uint64_t>>> TableReader::size(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto at = location(node->source(), file_);
  if (const auto* bytes = node->as_integer()) {
    if (bytes->get() < 0)
      return wrong(at, fmt::format("{} is {}, expected a size in bytes", full_name(key), bytes->get()));
    return Located<std::uint64_t>{static_cast<std::uint64_t>(bytes->get()), at};
  }
  const auto* text = node->as_string();
  if (text == nullptr) return type_error(key, *node, "a size such as \"512MiB\", or a number of bytes");
  auto parsed = parse_size(text->get());
  if (!parsed) return wrong(at, fmt::format("{}: {}", full_name(key), parsed.error().message), parsed.error().remedy);
  return Located<std::uint64_t>{*parsed, at};
}

Result<std::vector<TableReader>> TableReader::tables(std::string_view key) const {
  std::vector<TableReader> out;
  const auto* node = table_.get(key);
  if (node == nullptr) return out;
  const auto* values = node->as_array();
  if (values == nullptr) return type_error(key, *node, "an array of tables");
  for (const auto& element : *values) {
    const auto* value = element.as_table();
    if (value == nullptr) return type_error(fmt::format("an element of {}", key), element, "a table");
    out.emplace_back(*value, file_, fmt::format("[[{}]]", key));
  }
  return out;
}

Result<std::vector<NamedTable>> TableReader::named_tables(std::string_view key) const {
  std::vector<NamedTable> out;
  const auto all = TRY(table(key));
  if (!all) return out;
  for (const auto& [name, node] : all->raw()) {
    const auto* value = node.as_table();
    if (value == nullptr) return all->type_error(name.str(), node, "a table");
    out.push_back({{std::string(name.str()), location(name.source(), file_)},
                   TableReader(*value, file_, fmt::format("[{}.{}]", key, name.str()))});
  }
  return out;
}

Result<std::optional<TableReader>> TableReader::table(std::string_view key) const {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_table();
  if (value == nullptr) return type_error(key, *node, "a table");
  return std::optional<TableReader>(std::in_place, *value, file_, fmt::format("[{}]", key));
}

}  // namespace ingot::builder::detail
