#include "tool_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace ingot::agent {
namespace {
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{120};
constexpr std::size_t error_cap_bytes = 400;
constexpr std::size_t chunk_bytes = 64u << 10;

/// The image's own files under their absolute names. argv[0] first; null ends.
constexpr const char* units_properties = "--property=Id,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths";
constexpr std::array<std::array<const char*, 8>, 6> command_lines = {{
    {"/usr/sbin/sshd", "-T"},
    {"/usr/sbin/nft", "-j", "list", "ruleset"},
    {"/usr/sbin/auditctl", "-s"},
    {"/usr/sbin/auditctl", "-l"},
    {"/usr/bin/systemctl", "show", "--all", "--no-pager", units_properties, "*"},
    {"/usr/bin/systemctl", "list-unit-files", "--all", "--full", "--plain", "--no-legend", "--no-pager"},
}};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// Ended and reaped, whatever happens; with it what it may have started in its process group.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) (void)end();
  }
  /// Killed if it still runs; its wait status.
  int end() {
    int status = 0;
    (void)::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }
  /// Its wait status; none when it does not end in time.
  Result<int> wait(Clock::time_point deadline) {
    int status = 0;
    for (;;) {
      const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
      if (ended == pid_) {
        (void)::kill(-pid_, SIGKILL);
        pid_ = -1;
        return status;
      }
      if (ended < 0 && errno != EINTR) return fail(io_error("waiting for a tool", errno));
      if (Clock::now() >= deadline) return fail(ErrorCode::timeout, "it does not end");
      const timespec step{0, 2'000'000};
      ::nanosleep(&step, nullptr);
    }
  }

 private:
  pid_t pid_;
};

struct Actions {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  Actions() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
};

/// Standard input is empty, the environment too; every other descriptor of ours is close-on-exec.
Result<pid_t> start(const char* const* argv, int output, int error) {
  Actions actions;
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  int failed = ::posix_spawn_file_actions_addopen(&actions.files, 0, "/dev/null", O_RDONLY, 0);
  if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions.files, output, 1);
  if (failed == 0) failed = ::posix_spawn_file_actions_adddup2(&actions.files, error, 2);
  if (failed == 0) failed = ::posix_spawnattr_setsigmask(&actions.attributes, &none);
  if (failed == 0) failed = ::posix_spawnattr_setsigdefault(&actions.attributes, &all);
  if (failed == 0) failed = ::posix_spawnattr_setpgroup(&actions.attributes, 0);
  if (failed == 0)
    failed = ::posix_spawnattr_setflags(&actions.attributes,
                                        POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  char* const environment[] = {nullptr};
  // posix_spawn() takes argv without const for history's sake and changes nothing of it (POSIX.1-2017, "exec").
  if (failed == 0)
    failed =
        ::posix_spawn(&pid, argv[0], &actions.files, &actions.attributes, const_cast<char* const*>(argv), environment);
  if (failed != 0) return fail(io_error(fmt::format("starting {}", argv[0]), failed));
  return pid;
}

/// What may be read now, appended; false at its end.
Result<bool> take(int fd, Buffer& into) {
  Buffer chunk(chunk_bytes);
  const ssize_t got = ::read(fd, chunk.data(), chunk.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got < 0) return fail(io_error("reading a tool's output", errno));
  into.insert(into.end(), chunk.begin(), chunk.begin() + got);
  return got > 0;
}

struct Outputs {
  Buffer output, error;
};
/// Until the tool has closed both.
Result<Outputs> read_outputs(int output, int error, std::size_t cap_bytes, Clock::time_point deadline) {
  Outputs texts;
  std::array<pollfd, 2> open = {{{output, POLLIN, 0}, {error, POLLIN, 0}}};
  while (open[0].fd >= 0 || open[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0)
      return fail(ErrorCode::timeout, fmt::format("it says nothing more and is there after {} s", patience.count()));
    if (::poll(open.data(), open.size(), static_cast<int>(left)) < 0 && errno != EINTR)
      return fail(io_error("waiting for a tool's output", errno));
    if (open[0].revents != 0 && !TRY(take(output, texts.output))) open[0].fd = -1;
    if (open[1].revents != 0 && !TRY(take(error, texts.error))) open[1].fd = -1;
    if (texts.output.size() > cap_bytes)
      return fail(ErrorCode::limit, fmt::format("it prints more than {} bytes", cap_bytes));
    if (texts.error.size() > error_cap_bytes) texts.error.resize(error_cap_bytes);
  }
  return texts;
}

}  // namespace

Result<Buffer> tool_output(Tool tool, std::size_t cap_bytes) {
  const auto& argv = command_lines.at(static_cast<std::size_t>(tool));
  if (::access(argv[0], X_OK) != 0) return fail(ErrorCode::missing, fmt::format("there is no {}", argv[0]));
  std::array<int, 2> output{}, error{};
  if (::pipe2(output.data(), O_CLOEXEC) != 0) return fail(io_error("preparing to start a tool", errno));
  const Descriptor output_end(output[0]);
  Descriptor output_start(output[1]);
  if (::pipe2(error.data(), O_CLOEXEC) != 0) return fail(io_error("preparing to start a tool", errno));
  const Descriptor error_end(error[0]);
  Descriptor error_start(error[1]);
  const auto deadline = Clock::now() + patience;
  Child child(TRY(start(argv.data(), output_start.get(), error_start.get())));
  output_start.reset();
  error_start.reset();
  auto texts = TRY_IN(argv[0], read_outputs(output_end.get(), error_end.get(), cap_bytes, deadline));
  const int status = TRY_IN(argv[0], child.wait(deadline));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::move(texts.output);
  auto said = std::string(as_text(texts.error));
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.pop_back();
  return fail(ErrorCode::tool_failed,
              fmt::format("{} ended with {}{}: {}", argv[0], WIFSIGNALED(status) ? "signal " : "",
                          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said));
}

}  // namespace ingot::agent
