#include "ingot/builder/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <deque>
#include <exception>
#include <thread>

#include "ingot/base/descriptor.hpp"
#include "spawn.hpp"

namespace ingot::builder {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t collected_output_cap_bytes = 64u << 20;
constexpr std::size_t kept_error_lines = 40;
constexpr std::size_t kept_line_bytes = 2000;
constexpr int kill_grace_milliseconds = 2000;
/// How long output is still read after the tool has ended, when a process that left its group holds the pipe open.
constexpr auto drain_time = std::chrono::milliseconds(500);

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(io_error("preparing to start a tool", errno));
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

Result<Descriptor> open_null() {
  Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_open()) return fail(io_error("opening /dev/null", errno));
  return null;
}

/// "mksquashfs - root.img -pf ..." for messages.
std::string command_text(const Command& command) {
  std::string text;
  for (const auto& word : command.argv) text += fmt::format("{}{}", text.empty() ? "" : " ", word);
  constexpr std::size_t longest = 240;
  return text.size() <= longest ? text : text.substr(0, longest) + " ...";
}

/// What a person needs of the end of a tool's standard error: its own errors where it marks them as apt, dpkg and
/// mmdebstrap do, else the last lines; none of them a screen long.
std::string readable_tail(std::string_view text) {
  constexpr std::size_t most_lines = 12;
  constexpr std::size_t longest = 300;
  std::vector<std::string_view> lines;
  bool marked = false;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const bool is_error = line.starts_with("E: ");
    if (is_error && !marked) lines.clear();
    marked = marked || is_error;
    if (is_error == marked) lines.push_back(line);
  }
  std::string out;
  for (std::size_t i = lines.size() > most_lines ? lines.size() - most_lines : 0; i < lines.size(); ++i)
    out += fmt::format("\n  {}{}", lines[i].substr(0, longest), lines[i].size() > longest ? " ..." : "");
  return out;
}

/// Feeds a tool's standard input from a thread of its own, so that a tool that writes much before it reads everything
/// cannot block us. Never blocks for good: the pipe is non-blocking and stop() is looked at.
class InputWriter {
 public:
  InputWriter(const Command& command, Descriptor pipe) : pipe_(std::move(pipe)) {
    (void)::fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
    thread_ = std::thread([this, &command] { feed(command); });
  }
  ~InputWriter() { (void)join(); }

  /// Waits for the writer. A tool that closes its input early is no error here: its exit code says whether it was
  /// content.
  Result<void> join() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    if (closed_early_) return {};
    return std::move(result_);
  }
  /// The source of the input failed: the tool would take what it got for everything.
  [[nodiscard]] bool has_failed() const { return failed_; }

 private:
  void feed(const Command& command) {
    // A write to a pipe that nobody reads raises SIGPIPE in the writing thread: blocked, it is only EPIPE.
    sigset_t broken_pipe;
    (void)::sigemptyset(&broken_pipe);
    (void)::sigaddset(&broken_pipe, SIGPIPE);
    (void)::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    try {
      result_ = command.standard_input([this](Bytes bytes) { return write(bytes); });
    } catch (const std::exception& error) {
      result_ = fail(ErrorCode::internal, fmt::format("writing a tool's input: {}", error.what()));
    }
    failed_ = !result_ && !closed_early_;
    // On failure the pipe stays open until the tool has been killed: end-of-file would look like success.
    if (!failed_) pipe_.reset();
  }

  Result<void> write(Bytes bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(pipe_.get(), bytes.data(), bytes.size());
      if (put >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        continue;
      }
      const int why = errno;
      if (why == EINTR) continue;
      if (why != EAGAIN || stop_) {
        closed_early_ = why == EPIPE || why == EAGAIN;
        return fail(io_error("writing a tool's standard input", why));
      }
      pollfd ready{pipe_.get(), POLLOUT, 0};
      (void)::poll(&ready, 1, 100);
    }
    return {};
  }

  Descriptor pipe_;
  std::thread thread_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> failed_ = false;
  bool closed_early_ = false;
  Result<void> result_;
};

/// Standard error, cut into lines; the last ones are kept.
class ErrorLines {
 public:
  explicit ErrorLines(const std::function<void(std::string_view)>& sink) : sink_(sink) {}
  void add(std::string_view text) {
    for (const char c : text) {
      if (c == '\n' || c == '\r')
        end_line();
      else if (line_.size() < kept_line_bytes)
        line_.push_back(c);
    }
  }
  std::string finish() {
    end_line();
    std::string out;
    for (const auto& line : lines_) out += fmt::format("{}{}", out.empty() ? "" : "\n", line);
    return out;
  }

 private:
  void end_line() {
    if (line_.empty()) return;
    if (sink_) sink_(line_);
    lines_.push_back(std::move(line_));
    line_.clear();
    if (lines_.size() > kept_error_lines) lines_.pop_front();
  }
  const std::function<void(std::string_view)>& sink_;
  std::string line_;
  std::deque<std::string> lines_;
};

/// One running tool: its pipes are read until both are closed or it has ended.
class Session {
 public:
  Session(const Command& command, pid_t pid, Descriptor output, Descriptor error)
      : command_(command),
        pid_(pid),
        output_(std::move(output)),
        error_(std::move(error)),
        lines_(command.standard_error) {}
  ~Session() {
    if (pid_ > 0) (void)detail::end_group(pid_, kill_grace_milliseconds);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<Completed> wait(const InputWriter* input) {
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!process.is_open()) return fail(io_error("watching a tool", errno));
    const auto started = Clock::now();
    std::optional<Clock::time_point> ended;
    bool quiet = false;
    while (!ended || ((output_.is_open() || error_.is_open()) && !(quiet && Clock::now() > *ended + drain_time))) {
      if (input != nullptr && input->has_failed()) return fail(ErrorCode::io, "the tool's input failed");
      if (!ended && timed_out(started)) return fail(timeout_error());
      std::array<pollfd, 3> ready{
          {{output_.get(), POLLIN, 0}, {error_.get(), POLLIN, 0}, {ended ? -1 : process.get(), POLLIN, 0}}};
      quiet = ::poll(ready.data(), ready.size(), 50) == 0;
      TRY(take_output(ready[0].revents));
      take_error(ready[1].revents);
      if (!ended && ready[2].revents != 0) {
        // What the tool left behind in its group would hold the pipes; its number is ours until it is reaped below.
        (void)::kill(-pid_, SIGKILL);
        ended = Clock::now();
      }
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return Completed{detail::exit_code_of(status), std::move(collected_), lines_.finish()};
  }

 private:
  [[nodiscard]] bool timed_out(Clock::time_point started) const {
    return command_.timeout_seconds > 0 &&
           std::chrono::duration<double>(Clock::now() - started).count() > command_.timeout_seconds;
  }
  Error timeout_error() {
    auto tail = lines_.finish();
    return Error{ErrorCode::timeout,
                 fmt::format("{} did not end within {:g} s{}{}", command_text(command_), command_.timeout_seconds,
                             tail.empty() ? "" : ":\n", tail),
                 {},
                 std::nullopt,
                 std::nullopt};
  }
  Result<void> take_output(short events) {
    if (events == 0 || !output_.is_open()) return {};
    const ssize_t got = ::read(output_.get(), chunk_.data(), chunk_.size());
    if (got < 0 && errno == EINTR) return {};
    if (got <= 0) {
      output_.reset();
      return {};
    }
    const Bytes bytes(chunk_.data(), static_cast<std::size_t>(got));
    if (command_.standard_output) return command_.standard_output(bytes);
    if (bytes.size() > collected_output_cap_bytes - collected_.size())
      return fail(ErrorCode::limit,
                  fmt::format("{} wrote more than {} bytes", command_text(command_), collected_output_cap_bytes));
    collected_.insert(collected_.end(), bytes.begin(), bytes.end());
    return {};
  }
  void take_error(short events) {
    if (events == 0 || !error_.is_open()) return;
    const ssize_t got = ::read(error_.get(), chunk_.data(), chunk_.size());
    if (got < 0 && errno == EINTR) return;
    if (got <= 0)
      error_.reset();
    else
      lines_.add(as_text(Bytes(chunk_.data(), static_cast<std::size_t>(got))));
  }

  const Command& command_;
  pid_t pid_;
  Descriptor output_;
  Descriptor error_;
  ErrorLines lines_;
  Buffer collected_;
  Buffer chunk_ = Buffer(64u << 10);
};

}  // namespace

Result<Completed> run(const Command& command) {
  auto output = TRY(make_pipe());
  auto error = TRY(make_pipe());
  Pipe input;
  if (command.standard_input)
    input = TRY(make_pipe());
  else
    input.read_end = TRY(open_null());

  const auto pid = TRY(detail::spawn(command, {input.read_end.get(), output.write_end.get(), error.write_end.get()}));
  input.read_end.reset();
  output.write_end.reset();
  error.write_end.reset();

  std::optional<InputWriter> writer;
  if (command.standard_input) writer.emplace(command, std::move(input.write_end));
  Result<Completed> completed = [&] {
    Session session(command, pid, std::move(output.read_end), std::move(error.read_end));
    return session.wait(writer ? &*writer : nullptr);
  }();
  if (writer) {
    const bool input_failed = writer->has_failed();
    auto written = writer->join();
    if (completed || input_failed) TRY(std::move(written));
  }
  return completed;
}

Result<Completed> run_checked(const Command& command) {
  auto completed = TRY(run(command));
  if (completed.exit_code == 0) return completed;
  const auto how = completed.exit_code > 128 ? fmt::format("was killed by signal {}", completed.exit_code - 128)
                                             : fmt::format("ended with status {}", completed.exit_code);
  return fail(ErrorCode::tool_failed,
              fmt::format("{} {}{}{}", command_text(command), how, completed.error_tail.empty() ? "" : ":",
                          readable_tail(completed.error_tail)));
}

Result<Background> Background::start(const Command& command, const std::string& log_path) {
  const auto null = TRY(open_null());
  const Descriptor log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.is_open()) return fail(io_error(fmt::format("creating {}", log_path), errno));
  return Background(TRY(detail::spawn(command, {null.get(), log.get(), log.get()})));
}

Background::Background(Background&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), ended_(std::exchange(other.ended_, std::nullopt)) {}

Background& Background::operator=(Background&& other) noexcept {
  if (this == &other) return *this;
  stop();
  pid_ = std::exchange(other.pid_, -1);
  ended_ = std::exchange(other.ended_, std::nullopt);
  return *this;
}

Background::~Background() { stop(); }

std::optional<int> Background::poll() {
  if (ended_ || pid_ < 0) return ended_;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid_)
    return std::nullopt;
  ended_ = detail::end_group(pid_, 0);  // it has ended: what it left in its group goes with it
  return ended_;
}

void Background::stop() {
  if (pid_ >= 0 && !ended_) ended_ = detail::end_group(pid_, kill_grace_milliseconds);
}

Result<TemporaryFolder> TemporaryFolder::create(const std::string& parent, std::string_view prefix) {
  auto path = fmt::format("{}/{}XXXXXX", parent, prefix);
  if (::mkdtemp(path.data()) == nullptr)
    return fail(io_error(fmt::format("creating a temporary folder in {}", parent), errno));
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TemporaryFolder::~TemporaryFolder() {
  if (!path_.empty()) remove_folder(path_);
}

void remove_folder(const std::string& path) {
  const auto remove_one = [](const char* name, const struct stat*, int, struct FTW*) {
    (void)::remove(name);
    return 0;
  };
  // FTW_MOUNT: something mounted below is never emptied. FTW_PHYS: links are removed, not followed.
  (void)::nftw(path.c_str(), remove_one, 32, FTW_DEPTH | FTW_MOUNT | FTW_PHYS);
}

}  // namespace ingot::builder
