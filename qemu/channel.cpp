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

constexpr std::string_view ready_line = "ingot-ready/1";
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
  channel.ask(nonce, node_id);
  return channel;
}

void EvidenceChannel::ask(Bytes nonce, const std::string& node_id) {
  question_ = fmt::format("ingot-nonce/1 {}{}{}\n", to_hex(nonce), node_id.empty() ? "" : " ", node_id);
}

Result<void> EvidenceChannel::hand_in_question() {
  if (::send(fd_, question_.data(), question_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(question_.size()))
    return fail(io_error("handing in the nonce", errno));
  question_.clear();
  return {};
}

EvidenceChannel::EvidenceChannel(EvidenceChannel&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      open_(other.open_),
      question_(std::move(other.question_)),
      received_(std::move(other.received_)) {}
EvidenceChannel::~EvidenceChannel() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<Buffer>> EvidenceChannel::poll(int wait_ms) {
  // A closed socket is always readable; waiting for nothing keeps the caller's pace.
  pollfd waiting{open_ ? fd_ : -1, POLLIN, 0};
  if (::poll(&waiting, 1, wait_ms) > 0) {
    Buffer chunk(chunk_bytes);
    const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0)
      received_.insert(received_.end(), chunk.begin(), chunk.begin() + got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
      open_ = false;
  }
  while (auto message = TRY(parse_agent_message(received_))) {
    // The next agent may say that it is ready before the next question is there: then its line waits.
    if (message->ready && question_.empty()) break;
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(message->size_bytes));
    if (!message->ready) return std::optional<Buffer>(std::move(message->evidence));
    TRY(hand_in_question());
  }
  return std::optional<Buffer>{};
}

Result<std::optional<AgentMessage>> parse_agent_message(Bytes received) {
  const auto text = as_text(received);
  const auto end = text.find('\n');
  if (end == std::string_view::npos) {
    if (text.size() > line_cap_bytes) return fail(ErrorCode::malformed, "the agent's first line does not end");
    return std::optional<AgentMessage>{};
  }
  const auto line = text.substr(0, end);
  if (line == ready_line) return std::optional<AgentMessage>({.ready = true, .evidence = {}, .size_bytes = end + 1});
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
  if (body.size() < size) return std::optional<AgentMessage>{};
  const auto size_bytes = static_cast<std::size_t>(size);
  return std::optional<AgentMessage>(
      {.ready = false, .evidence = to_buffer(body.first(size_bytes)), .size_bytes = end + 1 + size_bytes});
}

}  // namespace ingot::rig
