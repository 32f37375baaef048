// What a serial console tells of how a boot went. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ingot/rig/rig.hpp"

namespace ingot::rig {

struct ConsoleVerdict {
  BootEnd end{};
  std::string line;  ///< the line that told, without control characters
};
/// Nothing while the console shows no reason to stop waiting.
std::optional<ConsoleVerdict> read_console(std::string_view text);

/// Whether the kernel has said its first line and not yet started /init.
bool in_kernel_start(std::string_view text);

/// The last `count` lines, control characters removed.
std::string console_tail(std::string_view text, std::size_t count);

}  // namespace ingot::rig
