// How much memory a command and the tools that it runs need at most.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"

namespace ingot::bench {

struct PeakMemory {
  std::uint64_t own_bytes = 0;   ///< highest resident set of the command itself
  std::uint64_t tool_bytes = 0;  ///< of the largest process below it
  std::string largest_tool;      ///< that one's name
};
/// Runs a command to its end and reads VmHWM (proc_pid_status(5)) of its whole process tree on the way, ten times a
/// second: a high-water mark that is read once shows all that came before.
Result<PeakMemory> peak_memory(const std::vector<std::string>& argv);

}  // namespace ingot::bench
