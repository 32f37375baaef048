#include "ingot/check/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace ingot::check {
namespace {

struct Line {
  std::string_view name;
  std::string_view value;
  unsigned number = 0;
};

std::string_view take_word(std::string_view& text) {
  constexpr std::string_view blank = " \t\r";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(blank)));
  const auto word = text.substr(0, text.find_first_of(blank));
  text.remove_prefix(word.size());
  return word;
}

/// Lines of two words; nothing for one of any other number.
Result<std::vector<Line>> read_lines(std::string_view text) {
  std::vector<Line> lines;
  for (unsigned number = 1; !text.empty(); ++number) {
    auto rest = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), rest.size() + 1));
    rest = rest.substr(0, rest.find('#'));
    Line line{take_word(rest), {}, number};
    if (line.name.empty()) continue;
    line.value = take_word(rest);
    if (line.value.empty() || !take_word(rest).empty())
      return fail(ErrorCode::malformed, fmt::format("line {} is not two words", number));
    lines.push_back(line);
  }
  return lines;
}

bool is_name(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  return !text.empty() && text.size() <= target_name_cap_bytes && std::all_of(text.begin(), text.end(), fits) &&
         text.front() != '-' && text.front() != '.';
}

Result<std::vector<IpRange>> read_ranges(std::string_view text) {
  std::vector<IpRange> ranges;
  for (const auto& line : TRY(read_lines(text))) {
    const auto range = IpRange::parse(line.value);
    if (!range)
      return fail(ErrorCode::malformed,
                  fmt::format("line {}: \"{}\" is no range of addresses", line.number, line.value));
    ranges.push_back(*range);
  }
  return ranges;
}

bool is_reachable(const std::vector<IpRange>& ranges, const IpAddress& address) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const IpRange& range) { return range.contains(address); });
}

}  // namespace

Result<IpAddress> find_target(std::string_view name, std::string_view ranges, std::string_view nodes) {
  const auto reachable = TRY(read_ranges(ranges));
  auto address = IpAddress::parse(name);
  if (!address) {
    if (!is_name(name))
      return fail(ErrorCode::usage, "that is neither an address nor a node's name", "names are of a-z, 0-9, . and -");
    // A file that somebody wrote: what is wrong in it must not open anything.
    for (const auto& line : TRY(read_lines(nodes))) {
      if (line.name != name) continue;
      if (address) return fail(ErrorCode::usage, fmt::format("{} is in the list of nodes twice", name));
      address = IpAddress::parse(line.value);
      if (!address) return fail(ErrorCode::usage, fmt::format("{} has no address in the list of nodes", name));
    }
    if (!address) return fail(ErrorCode::usage, fmt::format("no node is called {}", name), "give its address");
  }
  if (!is_reachable(reachable, *address))
    return fail(ErrorCode::usage,
                fmt::format("no flow of the site leads from here to port 22 of {}", to_text(*address)));
  return *address;
}

Result<void> check_nodes(std::string_view nodes, std::string_view ranges) {
  const auto reachable = TRY(read_ranges(ranges));
  std::set<std::string_view> names;
  for (const auto& line : TRY(read_lines(nodes))) {
    const auto address = IpAddress::parse(line.value);
    if (!is_name(line.name) || IpAddress::parse(line.name) || !address)
      return fail(ErrorCode::malformed, fmt::format("line {} is not a name and an address", line.number));
    if (!names.insert(line.name).second)
      return fail(ErrorCode::malformed, fmt::format("line {}: {} is there twice", line.number, line.name));
    if (!is_reachable(reachable, *address))
      return fail(ErrorCode::usage, fmt::format("line {}: no flow of the site leads from here to port 22 of {}",
                                                line.number, line.value));
  }
  return {};
}

}  // namespace ingot::check
