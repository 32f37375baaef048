#include "alerts.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ingot/base/bytes.hpp"
#include "ingot/check/alerts.hpp"

namespace ingot::agent {
namespace {

constexpr std::size_t chunk_bytes = 64u << 10;
constexpr std::size_t quote_cap_bytes = 2048;
constexpr const char* journal_socket = "/run/systemd/journal/socket";

Result<Buffer> read_input() {
  Buffer chunk(chunk_bytes);
  ssize_t got = -1;
  do got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail(io_error("reading records", errno));
  chunk.resize(static_cast<std::size_t>(got));
  return chunk;
}

/// One line of printable characters: what a node wrote must not become a field of ours.
std::string one_line(std::string_view text) {
  std::string out(text.substr(0, quote_cap_bytes));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::string field_of(const codec::JournalRecord& record, std::string_view name) {
  const auto field = record.find(name);
  return field == record.end() ? std::string{} : one_line(field->second);
}

/// The native protocol of journald: a datagram of NAME=value lines ("Native Journal Protocol" of systemd).
class JournalSocket {
 public:
  static Result<JournalSocket> open(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(ErrorCode::usage, fmt::format("{} is too long", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    JournalSocket made(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const void* target = &address;
    if (made.fd_ < 0 || ::connect(made.fd_, static_cast<const sockaddr*>(target), sizeof address) != 0)
      return fail(io_error(fmt::format("the journal's socket {}", path), errno));
    return made;
  }
  JournalSocket(JournalSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  JournalSocket& operator=(JournalSocket&&) = delete;
  ~JournalSocket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] Result<void> send(std::string_view datagram) const {
    if (::send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0)
      return fail(io_error("sending an alert to the journal", errno));
    return {};
  }

 private:
  explicit JournalSocket(int fd) : fd_(fd) {}
  int fd_;
};

std::string render(const check::Alert& alert, const std::string& node, const codec::JournalRecord& record) {
  const auto quoted = field_of(record, "MESSAGE");
  return fmt::format(
      "MESSAGE={}: {}: {}\nPRIORITY=1\nSYSLOG_IDENTIFIER=ingot-alerts\nINGOT_ALERT={}\nINGOT_NODE={}\n"
      "INGOT_RECORD={}\nINGOT_RECORD_TIME={}\n",
      node, alert.reason, quoted, alert.kind, node, quoted, field_of(record, "__REALTIME_TIMESTAMP"));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

}  // namespace

Result<void> run_alerts(const AlertOptions& options) {
  if (!is_name(options.node)) return fail(ErrorCode::usage, fmt::format("\"{}\" is no node's name", options.node));
  const auto journal = TRY(JournalSocket::open(options.socket.empty() ? journal_socket : options.socket));
  codec::JournalExportReader reader(read_input);
  while (const auto record = TRY(reader.next()))
    if (const auto alert = check::judge(*record)) TRY(journal.send(render(*alert, options.node, *record)));
  return {};
}

}  // namespace ingot::agent
