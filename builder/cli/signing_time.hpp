// The time that goes into a signature: always given, never the clock's, so that the same input signs to the same bytes.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>

#include "ingot/base/result.hpp"
#include "ingot/codec/authenticated_variable.hpp"

namespace ingot::cli {

/// `text` ("YYYY-MM-DD HH:MM:SS", UTC), else SOURCE_DATE_EPOCH; nothing when neither is there. Error (usage): no date.
inline Result<std::optional<codec::EfiTime>> signing_time(const std::string& text) {
  if (!text.empty()) {
    const auto time = codec::parse_efi_time(text);
    if (!time)
      return fail(ErrorCode::usage, fmt::format("--time \"{}\" is no date from 1998 to 9999", text),
                  "give it as \"YYYY-MM-DD HH:MM:SS\", UTC");
    return time;
  }
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  if (epoch == nullptr || *epoch == '\0') return std::optional<codec::EfiTime>{};
  const std::string_view digits = epoch;
  std::int64_t seconds = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  const auto time = code == std::errc{} && end == digits.data() + digits.size() ? codec::efi_time_of(seconds)
                                                                                : std::optional<codec::EfiTime>{};
  if (!time)
    return fail(ErrorCode::usage, fmt::format("SOURCE_DATE_EPOCH \"{}\" is no time from 1998 to 9999", digits),
                "set it to seconds since 1970");
  return time;
}

}  // namespace ingot::cli
