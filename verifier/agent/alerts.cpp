#include "alerts.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "ingot/base/bytes.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/alerts.hpp"

namespace ingot::agent {
namespace {

constexpr std::size_t chunk_bytes = 64u << 10;
constexpr std::size_t quote_cap_bytes = 2048;
constexpr std::uint64_t state_cap_bytes = 64u << 10;
constexpr int idle_milliseconds = 1000;
constexpr const char* journal_socket = "/run/systemd/journal/socket";

Result<Buffer> read_some() {
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

std::string_view field_of(const codec::JournalRecord& record, std::string_view name) {
  const auto field = record.find(name);
  return field == record.end() ? std::string_view{} : field->second;
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

std::int64_t now_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// Tells the collector's journal about one node.
class Teller {
 public:
  Teller(std::string node, JournalSocket journal, check::AlertLimit limit)
      : node_(std::move(node)), journal_(std::move(journal)), limit_(std::move(limit)) {}

  Result<void> tell(const check::Alert& alert, std::string_view text, std::string_view time) {
    if (!limit_.take(alert.kind, now_seconds())) return {};
    const auto quoted = one_line(text);
    return send(alert.kind, fmt::format("{}: {}", alert.reason, quoted),
                fmt::format("INGOT_RECORD={}\nINGOT_RECORD_TIME={}\n", quoted, one_line(time)));
  }
  Result<void> tell_numbers(const std::vector<check::AlertLimit::Held>& all) const {
    for (const auto& held : all)
      TRY(send(held.kind,
               fmt::format("{} more of {} within a minute; the records are in its journal", held.count, held.kind),
               fmt::format("INGOT_MORE={}\n", held.count)));
    return {};
  }
  /// Waits for records; meanwhile minutes end.
  Result<Buffer> read_input() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    do TRY(tell_numbers(limit_.over(now_seconds())));
    while (::poll(&input, 1, idle_milliseconds) == 0);
    return read_some();
  }
  Result<void> end() { return tell_numbers(limit_.at_end(now_seconds())); }
  [[nodiscard]] const check::AlertLimit& limit() const { return limit_; }

 private:
  [[nodiscard]] Result<void> send(std::string_view kind, std::string_view message, std::string_view fields) const {
    return journal_.send(fmt::format(
        "MESSAGE={0}: {1}\nPRIORITY=1\nSYSLOG_IDENTIFIER=ingot-alerts\nINGOT_ALERT={2}\nINGOT_NODE={0}\n{3}", node_,
        message, kind, fields));
  }
  std::string node_;
  JournalSocket journal_;
  check::AlertLimit limit_;
};

Result<void> judge_input(Teller& teller) {
  codec::JournalExportReader reader([&] { return teller.read_input(); });
  while (true) {
    const auto record = reader.next();
    if (!record) {
      const auto& error = record.error();
      if (error.code != ErrorCode::malformed && error.code != ErrorCode::limit) return fail(error);
      TRY(teller.tell(check::malformed_record, describe(error), ""));
      TRY(reader.skip());
      continue;
    }
    if (!*record) return teller.end();
    if (const auto alert = check::judge(**record))
      TRY(teller.tell(*alert, field_of(**record, "MESSAGE"), field_of(**record, "__REALTIME_TIMESTAMP")));
  }
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

}  // namespace

Result<void> run_alerts(const AlertOptions& options) {
  if (!is_name(options.node)) return fail(ErrorCode::usage, fmt::format("\"{}\" is no node's name", options.node));
  auto journal = TRY(JournalSocket::open(options.socket.empty() ? journal_socket : options.socket));
  std::string before;
  if (!options.state.empty())
    if (const auto text = read_file(options.state, state_cap_bytes)) before = as_text(*text);
  Teller teller(options.node, std::move(journal), check::AlertLimit::parse(before));
  const auto judged = judge_input(teller);
  const auto after = teller.limit().render();
  if (!options.state.empty() && after != before) TRY(write_file(options.state, as_bytes(after), 0600));
  return judged;
}

}  // namespace ingot::agent
