#include "channel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "ingot/codec/evidence.hpp"

namespace ingot::rig {
namespace {

constexpr std::string_view evidence_word = "ingot-evidence/1 ";
constexpr std::string_view error_word = "ingot-error/1 ";
constexpr std::size_t line_cap_bytes = 4096;
constexpr std::size_t chunk_bytes = 64u << 10;
constexpr int connect_attempts = 1500;
constexpr timespec connect_step{0, 20'000'000};

}  // namespace

Result<EvidenceChannel> EvidenceChannel::connect(const std::string& socket_path, Bytes nonce,
                                                 const std::string& node_id, const std::function<bool()>& is_alive) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path))
    return fail(ErrorCode::usage, fmt::format("the socket path {} is too long", socket_path),
                "set TMPDIR to a shorter path");
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  EvidenceChannel channel(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (channel.fd_ < 0) return fail(io_error("making a socket", errno));
  for (int i = 0;
       ::connect(channel.fd_, static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address) != 0;
       ++i) {
    const int why = errno;
    if (i >= connect_attempts || !is_alive()) return fail(io_error("connecting to QEMU", why));
    ::nanosleep(&connect_step, nullptr);
  }
  TRY(channel.ask(nonce, node_id));
  return channel;
}

Result<void> EvidenceChannel::ask(Bytes nonce, const std::string& node_id) {
  received_.clear();
  const std::string line = fmt::format("ingot-nonce/1 {}{}{}\n", to_hex(nonce), node_id.empty() ? "" : " ", node_id);
  if (::send(fd_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return fail(io_error("handing in the nonce", errno));
  return {};
}

EvidenceChannel::EvidenceChannel(EvidenceChannel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), open_(other.open_), received_(std::move(other.received_)) {}
EvidenceChannel::~EvidenceChannel() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<Buffer>> EvidenceChannel::poll(int wait_ms) {
  // A closed socket is always readable; waiting for nothing keeps the caller's pace.
  pollfd waiting{open_ ? fd_ : -1, POLLIN, 0};
  if (::poll(&waiting, 1, wait_ms) <= 0) return std::optional<Buffer>{};
  Buffer chunk(chunk_bytes);
  const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<Buffer>{};
  if (got <= 0) {
    open_ = false;
    return std::optional<Buffer>{};
  }
  received_.insert(received_.end(), chunk.begin(), chunk.begin() + got);
  return parse_evidence_message(received_);
}

Result<std::optional<Buffer>> parse_evidence_message(Bytes received) {
  const auto text = as_text(received);
  const auto end = text.find('\n');
  if (end == std::string_view::npos) {
    if (text.size() > line_cap_bytes) return fail(ErrorCode::malformed, "the agent's first line does not end");
    return std::optional<Buffer>{};
  }
  const auto line = text.substr(0, end);
  if (line.starts_with(error_word))
    return fail(ErrorCode::tool_failed, fmt::format("the agent failed: {}", line.substr(error_word.size())));
  std::uint64_t size = 0;
  const char* last = line.data() + line.size();
  if (!line.starts_with(evidence_word))
    return fail(ErrorCode::malformed, fmt::format("the agent wrote \"{}\"", line.substr(0, 80)));
  const auto number = std::from_chars(line.data() + evidence_word.size(), last, size);
  if (number.ec != std::errc{} || number.ptr != last || size > codec::evidence_size_cap_bytes)
    return fail(ErrorCode::malformed, fmt::format("the agent wrote \"{}\"", line.substr(0, 80)));
  const Bytes body = received.subspan(end + 1);
  if (body.size() < size) return std::optional<Buffer>{};
  return std::optional<Buffer>(to_buffer(body.first(static_cast<std::size_t>(size))));
}

}  // namespace ingot::rig
