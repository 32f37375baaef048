#include "spawn.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "ingot/base/descriptor.hpp"

namespace ingot::builder::detail {
namespace {

struct ToolPackage {
  std::string_view tool;
  std::string_view package;
};
constexpr ToolPackage tool_packages[] = {
    {"apt-get", "apt"},
    {"apt-config", "apt"},
    {"dpkg-deb", "dpkg"},
    {"fsck.vfat", "dosfstools"},
    {"mcopy", "mtools"},
    {"mkfs.erofs", "erofs-utils"},
    {"mkfs.vfat", "dosfstools"},
    {"mksquashfs", "squashfs-tools"},
    {"mmd", "mtools"},
    {"mmdebstrap", "mmdebstrap"},
    {"openssl", "openssl"},
    {"qemu-img", "qemu-utils"},
    {"qemu-system-x86_64", "qemu-system-x86"},
    {"sbsign", "sbsigntool"},
    {"sbverify", "sbsigntool"},
    {"sfdisk", "fdisk"},
    {"sqfstar", "squashfs-tools"},
    {"swtpm", "swtpm"},
    {"swtpm_setup", "swtpm-tools"},
    {"tar", "tar"},
    {"tpm2_eventlog", "tpm2-tools"},
    {"unshare", "util-linux"},
    {"unsquashfs", "squashfs-tools"},
    {"veritysetup", "cryptsetup-bin"},
    {"zstd", "zstd"},
};

std::string search_path() {
  const char* inherited = std::getenv("PATH");
  std::string path = inherited != nullptr ? inherited : "";
  for (const std::string_view folder : {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"})
    if (fmt::format(":{}:", path).find(fmt::format(":{}:", folder)) == std::string::npos)
      path += fmt::format("{}{}", path.empty() ? "" : ":", folder);
  return path;
}

bool is_executable_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

/// Relative folders of PATH are ignored: what runs must not depend on where we stand.
Result<std::string> find_tool(const std::string& name, std::string_view path) {
  if (name.find('/') != std::string::npos) {
    if (is_executable_file(name)) return name;
    return fail(ErrorCode::missing, fmt::format("{} is not an executable file", name));
  }
  while (!path.empty()) {
    const auto folder = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), folder.size() + 1));
    const auto candidate = fmt::format("{}/{}", folder, name);
    if (folder.starts_with('/') && is_executable_file(candidate)) return candidate;
  }
  const auto* known = std::find_if(std::begin(tool_packages), std::end(tool_packages),
                                   [&](const ToolPackage& entry) { return entry.tool == name; });
  return fail(ErrorCode::missing, fmt::format("the tool {} is not installed", name),
              known != std::end(tool_packages) ? fmt::format("install the Debian package {}", known->package)
                                               : std::string("install the Debian package that has it"));
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Everything the child needs, made before the fork: after it, only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* environment;
  const char* folder;  ///< null: ours
  StandardStreams streams;
  pid_t parent;
  int error_pipe;
};

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) (void)::sigaction(number, &action, nullptr);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// dup2() leaves close-on-exec set when both descriptors are the same: the plan's are therefore above 2.
[[noreturn]] void become(const ChildPlan& plan) {
  (void)::setpgid(0, 0);
  reset_signals();
  (void)::umask(022);
  // The parent may have died between fork and prctl: then no signal will ever come.
  bool ok = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == plan.parent;
  ok = ok && ::dup2(plan.streams.input, 0) == 0 && ::dup2(plan.streams.output, 1) == 1 &&
       ::dup2(plan.streams.error, 2) == 2;
  // Ours are all close-on-exec; those of libraries in other threads may not be. Kernels before 5.11 lack the call.
  (void)::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  ok = ok && (plan.folder == nullptr || ::chdir(plan.folder) == 0);
  if (ok) (void)::execve(plan.program, plan.argv, plan.environment);
  const int why = errno;
  (void)!::write(plan.error_pipe, &why, sizeof why);
  ::_exit(127);
}

/// errno of the child's failed exec; nothing when the exec closed the pipe.
std::optional<int> exec_failure(int fd) {
  int why = 0;
  ssize_t got = 0;
  do got = ::read(fd, &why, sizeof why);
  while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof why)) return why;
  return std::nullopt;
}

/// Duplicates below 3 would be overwritten by the child's own dup2 calls.
Result<int> raised(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail(io_error("preparing to start a tool", errno));
  return copy;
}

}  // namespace

Result<pid_t> spawn(const Command& command, const StandardStreams& streams) {
  if (command.argv.empty()) return fail(ErrorCode::internal, "a command without a program");
  const auto path = search_path();
  const auto program = TRY(find_tool(command.argv.front(), path));

  std::map<std::string, std::string> variables{
      {"PATH", path}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", "/nonexistent"}};
  for (const auto& [name, value] : command.environment) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(fmt::format("{}={}", name, value));
  auto arguments = command.argv;
  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);

  const Descriptor input(TRY(raised(streams.input)));
  const Descriptor output(TRY(raised(streams.output)));
  const Descriptor error(TRY(raised(streams.error)));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(io_error("preparing to start a tool", errno));
  const Descriptor read_end(ends[0]);
  Descriptor low_write_end(ends[1]);
  Descriptor write_end(TRY(raised(low_write_end.get())));
  low_write_end.reset();

  const ChildPlan plan{program.c_str(),
                       argv.data(),
                       envp.data(),
                       command.working_directory.empty() ? nullptr : command.working_directory.c_str(),
                       {input.get(), output.get(), error.get()},
                       ::getpid(),
                       write_end.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return fail(io_error(fmt::format("starting {}", command.argv.front()), errno));
  if (pid == 0) become(plan);
  (void)::setpgid(pid, pid);  // as the child does: whoever comes first
  write_end.reset();
  if (const auto why = exec_failure(read_end.get())) {
    (void)::waitpid(pid, nullptr, 0);
    return fail(io_error(fmt::format("starting {}", command.argv.front()), *why));
  }
  return pid;
}

int exit_code_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int end_group(pid_t leader, int grace_milliseconds) {
  using namespace std::chrono;
  (void)::kill(-leader, SIGTERM);
  const auto deadline = steady_clock::now() + milliseconds(grace_milliseconds);
  siginfo_t info{};
  // WNOWAIT: until it is reaped its number cannot become another group's, so the SIGKILL below hits only ours.
  while (steady_clock::now() < deadline) {
    info.si_pid = 0;
    if (::waitid(P_PID, static_cast<id_t>(leader), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == leader)
      break;
    std::this_thread::sleep_for(milliseconds(5));
  }
  (void)::kill(-leader, SIGKILL);
  int status = 0;
  while (::waitpid(leader, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code_of(status);
}

}  // namespace ingot::builder::detail
