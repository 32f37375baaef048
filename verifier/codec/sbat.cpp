#include "ingot/codec/sbat.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ingot::codec {
namespace {

std::optional<SbatEntry> decode_line(std::string_view line) {
  const auto comma = line.find(',');
  if (comma == 0 || comma == std::string_view::npos) return std::nullopt;
  const auto digits = line.substr(comma + 1, line.find(',', comma + 1) - comma - 1);
  SbatEntry entry{std::string(line.substr(0, comma)), 0};
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), entry.generation);
  if (code != std::errc{} || end != digits.data() + digits.size() || entry.generation == 0) return std::nullopt;
  return entry;
}

}  // namespace

Result<std::vector<SbatEntry>> decode_sbat(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  std::vector<SbatEntry> entries;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    if (entries.size() == sbat_line_cap)
      return fail(ErrorCode::limit, fmt::format("SBAT of more than {} lines", sbat_line_cap));
    auto entry = decode_line(line);
    if (!entry)
      return fail(ErrorCode::malformed,
                  fmt::format("SBAT line {} has no component and generation", entries.size() + 1));
    if (entries.empty() && entry->component != "sbat")
      return fail(ErrorCode::malformed, "SBAT does not begin with a line of \"sbat\"");
    if (std::any_of(entries.begin(), entries.end(), [&](const auto& one) { return one.component == entry->component; }))
      return fail(ErrorCode::malformed, fmt::format("SBAT line {} has its component again", entries.size() + 1));
    entries.push_back(*std::move(entry));
  }
  return entries;
}

}  // namespace ingot::codec
