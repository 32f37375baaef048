// Kernel parameters as a profile may write them.
#pragma once

#include <string>
#include <vector>

#include "reader.hpp"

namespace ingot::builder::detail {

/// What every profile starts from, besides the rows of the settings table; a profile replaces one by naming its key,
/// and drops one with "!key".
const std::vector<std::string>& default_command_line();

/// The part before '=', with '-' taken for '_' as the kernel does.
std::string parameter_key(std::string_view parameter);

enum class ShellAccess { refused, allowed };

/// One parameter: printable ASCII, blanks only between double quotes, none that the builder owns, and none that opens a
/// shell unless the profile says so.
Result<void> check_parameter(const Located<std::string>& parameter, ShellAccess shell);

/// Adds a layer's parameters: "!key" or "!key=value" takes an inherited one away, a key that holds one value replaces
/// the inherited one in its place, everything else is appended.
Result<void> merge_command_line(std::vector<std::string>& line, const LocatedTexts& layer, ShellAccess shell);

/// Room that the kernel leaves for what the profile says. Linux, x86 COMMAND_LINE_SIZE is 2048 with its NUL; the
/// builder appends " roothash=" and 64 digits.
inline constexpr std::size_t command_line_cap_bytes = 2047 - 75;

}  // namespace ingot::builder::detail
