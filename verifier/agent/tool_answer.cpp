#include "tool_answer.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ingot/base/descriptor.hpp"
#include "ingot/codec/report.hpp"

namespace ingot::agent {
namespace {
using Clock = std::chrono::steady_clock;

constexpr std::size_t chunk_bytes = 64u << 10;

/// A full backlog is the only thing that connect() to a Unix socket would wait for (unix(7)).
Result<void> connect_before(int fd, const sockaddr_un& address, Clock::time_point deadline) {
  // sockaddr_un is one of the structures that a sockaddr stands for (POSIX.1-2017, "sys/socket.h").
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  while (::connect(fd, generic, sizeof address) != 0) {
    const int reason = errno;
    if (reason == ENOENT) return fail(ErrorCode::missing, "this node does not offer it");
    if (reason == ECONNREFUSED) return fail(ErrorCode::missing, "nobody listens: its socket unit has stopped");
    if (reason != EAGAIN && reason != EINTR) return fail(io_error("connecting", reason));
    if (Clock::now() >= deadline) return fail(ErrorCode::timeout, "nobody takes the connection");
    const timespec step{0, 10'000'000};
    ::nanosleep(&step, nullptr);
  }
  return {};
}

/// Until the other end is closed.
Result<Buffer> read_answer(int fd, const ToolLimits& limits, Clock::time_point deadline) {
  Buffer answer, chunk(chunk_bytes);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0)
      return fail(ErrorCode::timeout,
                  fmt::format("after {} bytes it has not ended within {} ms", answer.size(), limits.patience.count()));
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left)) < 0 && errno != EINTR) return fail(io_error("waiting", errno));
    if (waiting.revents == 0) continue;
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got == 0) return answer;
    if (got < 0 && errno != EINTR && errno != EAGAIN) return fail(io_error("reading", errno));
    if (got > 0) answer.insert(answer.end(), chunk.begin(), chunk.begin() + got);
    if (answer.size() > limits.cap_bytes + codec::tool_end_cap_bytes)
      return fail(ErrorCode::limit, fmt::format("it says more than {} bytes", limits.cap_bytes));
  }
}

Result<Buffer> ask(const std::string& path, const ToolLimits& limits) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorCode::internal, "the path of its socket is too long");
  std::copy(path.begin(), path.end(), address.sun_path);
  const Descriptor connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connection.get() < 0) return fail(io_error("making a socket", errno));
  const auto deadline = Clock::now() + limits.patience;
  TRY(connect_before(connection.get(), address, deadline));
  const auto answer = TRY(read_answer(connection.get(), limits, deadline));
  const auto output = TRY(codec::decode_tool_answer(answer));
  if (output.size() > limits.cap_bytes)
    return fail(ErrorCode::limit, fmt::format("it says more than {} bytes", limits.cap_bytes));
  return to_buffer(output);
}

}  // namespace

Result<Buffer> tool_answer(const std::string& socket_path, const ToolLimits& limits) {
  return TRY_IN(socket_path, ask(socket_path, limits));
}

}  // namespace ingot::agent
