// What a network boot is served from: Python's own server on loopback, a port that the system chooses.
#pragma once

#include <string>

#include "ingot/builder/process.hpp"

namespace ingot::rig {

class HttpServer {
 public:
  /// Serves the files of `folder`; its log goes to a file in `run`. Error (tool_failed) when it does not come up.
  static Result<HttpServer> start(const std::string& folder, const std::string& run);
  [[nodiscard]] unsigned port() const { return port_; }

 private:
  HttpServer(builder::Background process, unsigned port) : process_(std::move(process)), port_(port) {}
  builder::Background process_;
  unsigned port_;
};

/// The port in "Serving HTTP on 127.0.0.1 port 43211 (...)"; nothing while the line is incomplete. Pure.
std::optional<unsigned> served_port(std::string_view log);

}  // namespace ingot::rig
