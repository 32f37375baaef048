#include "init.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "answer.hpp"
#include "gather.hpp"
#include "ingot/codec/evidence.hpp"
#include "port.hpp"

namespace ingot::agent {
namespace {
namespace fs = std::filesystem;

constexpr double port_wait_seconds = 10;
constexpr double host_wait_seconds = 30;
constexpr int console_off = 6;  // syslog(2), SYSLOG_ACTION_CONSOLE_OFF

void tell(std::string_view text) { std::fputs(fmt::format("ingot-probe: {}\n", text).c_str(), stderr); }

struct Mount {
  const char* what;
  const char* where;
};
constexpr Mount mounts[] = {
    {"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"securityfs", "/sys/kernel/security"}};

void mount_kernel_file_systems() {
  for (const auto& mount : mounts) {
    ::mkdir(mount.where, 0755);
    if (::mount(mount.what, mount.where, mount.what, MS_NOSUID | MS_NOEXEC, nullptr) != 0 && errno != EBUSY)
      tell(fmt::format("mounting {}: {}", mount.where, std::strerror(errno)));
  }
}

/// finit_module(2); Linux, include/uapi/linux/module.h
constexpr int module_is_compressed = 4;

/// "/modules/NN-name.ko" in the order of their names, which is the order in which they need each other. A kernel that
/// has a driver built in says EEXIST, one on other hardware ENODEV; neither is a reason to stop.
void load_modules() {
  std::error_code ec;
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator("/modules", ec)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const int flags = path.ends_with(".ko") ? 0 : module_is_compressed;
    if (fd < 0 || (::syscall(SYS_finit_module, fd, "", flags) != 0 && errno != EEXIST && errno != ENODEV))
      tell(fmt::format("loading {}: {}", path, std::strerror(errno)));
    if (fd >= 0) ::close(fd);
  }
}

/// For a reference machine whose console somebody records. Kernel messages are kept out from between the lines.
Result<void> show_on_console() {
  const auto evidence = codec::encode_evidence(TRY(gather({})));
  ::klogctl(console_off, nullptr, 0);
  std::fputs(fmt::format("{}\n{}{}\n", console_begin_mark, evidence, console_end_mark).c_str(), stderr);
  return {};
}

Result<void> report_evidence() {
  auto port = Port::open(evidence_port, port_wait_seconds);
  if (!port) {
    tell("no port to the rig: evidence goes to the console");
    return show_on_console();
  }
  TRY(answer(*port, {}));
  // Powering off ends the software TPM too; the host may still want to ask it.
  port->wait_for_host_to_leave(host_wait_seconds);
  return {};
}

}  // namespace

void run_as_init() {
  mount_kernel_file_systems();
  load_modules();
  tell("gathering evidence");
  const auto done = report_evidence();
  tell(done ? "done" : describe(done.error()));
  ::sync();
  ::reboot(RB_POWER_OFF);
  for (;;) ::pause();
}

}  // namespace ingot::agent
