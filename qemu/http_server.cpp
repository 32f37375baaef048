#include "http_server.hpp"

#include <fmt/format.h>
#include <time.h>

#include <charconv>

#include "ingot/base/source.hpp"

namespace ingot::rig {
namespace {

constexpr int start_attempts = 500;
constexpr timespec start_step{0, 20'000'000};
constexpr std::uint64_t log_cap_bytes = 1u << 20;

}  // namespace

std::optional<unsigned> served_port(std::string_view log) {
  constexpr std::string_view word = " port ";
  const auto at = log.find(word);
  if (at == log.npos) return std::nullopt;
  unsigned port = 0;
  const char* first = log.data() + at + word.size();
  const char* last = log.data() + log.size();
  const auto number = std::from_chars(first, last, port);
  if (number.ec != std::errc{} || number.ptr == last || *number.ptr != ' ') return std::nullopt;
  return port;
}

Result<HttpServer> HttpServer::start(const std::string& folder, const std::string& run) {
  const std::string log = run + "/http.log";
  auto process = TRY(builder::Background::start(
      {.argv = {"python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder}}, log));
  for (int i = 0; i < start_attempts && !process.poll(); ++i) {
    const auto text = read_file(log, log_cap_bytes);
    if (text)
      if (const auto port = served_port(as_text(*text))) return HttpServer(std::move(process), *port);
    ::nanosleep(&start_step, nullptr);
  }
  const auto text = read_file(log, log_cap_bytes);
  return fail(ErrorCode::tool_failed,
              fmt::format("the web server did not start: {}", text ? std::string(as_text(*text)) : "no log"));
}

}  // namespace ingot::rig
