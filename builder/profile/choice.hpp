// Keys whose value is one of a few words.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "reader.hpp"

namespace ingot::builder::detail {

inline std::string quoted_list(const std::vector<std::string_view>& names) {
  return fmt::format("\"{}\"", fmt::join(names, "\", \""));
}

/// "did you mean ...?" when one of the names is near, else nothing.
inline std::string suggestion(std::string_view text, const std::vector<std::string_view>& names) {
  const auto close = nearest(text, names);
  return close.empty() ? "" : fmt::format("did you mean \"{}\"?", close);
}

template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

template <typename T, std::size_t N>
Result<std::optional<Located<T>>> choose(const TableReader& table, std::string_view key,
                                         const Choice<T> (&choices)[N]) {
  const auto text = TRY(table.text(key));
  if (!text) return std::nullopt;
  std::vector<std::string_view> names;
  for (const auto& choice : choices) {
    if (choice.name == text->value) return Located<T>{choice.value, text->at};
    names.push_back(choice.name);
  }
  return wrong(text->at, fmt::format("{} is \"{}\", expected one of {}", key, text->value, quoted_list(names)),
               suggestion(text->value, names));
}

}  // namespace ingot::builder::detail
