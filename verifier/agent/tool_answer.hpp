// What a tool of the node has to say. The agent starts no process: systemd does, for each connection to the tool's
// socket (builder/config/report.cpp renders the units).
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

struct ToolLimits {
  std::size_t cap_bytes = 0;             ///< of its standard output
  std::chrono::milliseconds patience{};  ///< from the connection to the end of the answer
};

/// The whole standard output of the tool behind a socket. Errors: nobody offers it (missing), it takes too long
/// (timeout), prints too much (limit), is cut off before it has ended (malformed), or ends with an error (tool_failed,
/// with what it said).
Result<Buffer> tool_answer(const std::string& socket_path, const ToolLimits& limits);

}  // namespace ingot::agent
