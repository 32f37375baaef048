// SBAT: generations of what boots. Shim's SBAT.md, "Version-Based Revocation".
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::codec {

/// One line of a .sbat section; the texts behind the generation are for people and left out.
struct SbatEntry {
  std::string component;
  std::uint32_t generation = 0;  ///< from 1
  bool operator==(const SbatEntry&) const = default;
};

/// Text of a .sbat section, up to its first NUL. Errors (malformed): the first line is not of "sbat", a line without
/// component and generation, a component twice; (limit): more than 128 lines.
Result<std::vector<SbatEntry>> decode_sbat(std::string_view text);
inline constexpr std::size_t sbat_line_cap = 128;

}  // namespace ingot::codec
