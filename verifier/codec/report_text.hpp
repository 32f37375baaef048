// Lines and words of a node's report. Internal to codec/.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::codec {

/// Between separators; an empty text is one empty field.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}
/// Without the empty ones.
inline std::vector<std::string_view> lines(std::string_view text) {
  auto out = split(text, '\n');
  std::erase_if(out, [](std::string_view line) { return line.empty(); });
  return out;
}
/// Between spaces and tabulators.
inline std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = text.find_first_not_of(" \t"); at != text.npos; at = text.find_first_not_of(" \t", at)) {
    const auto end = std::min(text.find_first_of(" \t", at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}
inline std::string joined(const std::vector<std::string_view>& parts) {
  std::string out;
  for (const auto part : parts) out.append(out.empty() ? "" : " ").append(part);
  return out;
}
inline bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

[[nodiscard]] inline tl::unexpected<Error> malformed_line(std::string_view wanted, std::string_view line) {
  constexpr std::size_t shown = 80;
  return fail(ErrorCode::malformed, fmt::format("\"{}\" is not {}", line.substr(0, shown), wanted));
}

}  // namespace ingot::codec
