// sudo: the one way to root, recorded. sudoers(5).
#include "sudo.hpp"

#include <fmt/ranges.h>

#include "parts.hpp"

namespace ingot::builder::detail {

Result<ConfigPart> render_sudo(const Profile& profile) {
  ConfigPart part;
  std::string text(made_by);
  // sudoers(5). What runs as root is recorded with its terminal, and so is what it starts. Who has no password cannot
  // type one: the key or certificate of the session is the proof, and only the commands named here are allowed.
  // What is started is caught by a preloaded library: the other way is ptrace(2), which kernel.yama.ptrace_scope=3
  // forbids to everybody.
  text +=
      "Defaults env_reset, ignore_dot\n"
      "Defaults secure_path=\"/usr/sbin:/usr/bin:/sbin:/bin\"\n"
      "Defaults use_pty\n"
      "Defaults log_output, log_input\n"
      "Defaults log_subcmds, intercept, intercept_type=dso\n"
      "Defaults iolog_dir=/var/log/sudo-io/%{user}, iolog_file=%{seq}\n"
      "Defaults logfile=/var/log/sudo.log\n"
      "Defaults log_allowed, log_denied, log_exit_status\n"
      "Defaults timestamp_timeout=0\n"
      "Defaults umask=0077, passwd_tries=3\n"
      "Defaults !visiblepw\n";

  text += sudo_log_lines(profile);
  for (const auto& [name, user] : profile.users)
    if (!user.sudo.empty()) text += fmt::format("{} ALL=(root) NOPASSWD: {}\n", name, fmt::join(user.sudo, ", "));
  text += "@includedir /etc/sudoers.d\n";
  add_file(part, "/etc/sudoers", text, 0440);
  part.modes.push_back({"/etc/sudoers.d", 0750});
  return part;
}

}  // namespace ingot::builder::detail
