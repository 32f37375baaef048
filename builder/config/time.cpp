// The clock: chrony where the base has it, else systemd-timesyncd. Only servers that the profile or the site names: no
// pool of the distribution.
#include <fmt/ranges.h>

#include <algorithm>

#include "parts.hpp"

namespace ingot::builder::detail {
namespace {

/// As the package's own chronyd-restricted.service: never root, one capability, no device; who gives the time may take
/// its port as well. Debian's chrony.service starts as root and keeps much for mail and reference clocks.
constexpr std::string_view sandbox = R"([Service]
ExecStart=
ExecStart=/usr/sbin/chronyd -U -F 1
User=_chrony
AmbientCapabilities={0}
CapabilityBoundingSet=
CapabilityBoundingSet={0}
RuntimeDirectoryMode=0750
DeviceAllow=
DevicePolicy=closed
PrivateDevices=yes
PrivateIPC=yes
KeyringMode=private
NoNewPrivileges=yes
ProtectKernelTunables=yes
ReadWritePaths=
RemoveIPC=yes
RestrictAddressFamilies=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictRealtime=yes
SystemCallFilter=
SystemCallFilter=@system-service @clock
SystemCallFilter=~@resources @obsolete
SystemCallErrorNumber=EPERM
UMask=0077
IPAddressDeny=any
IPAddressAllow=localhost {1}
)";

std::string chrony_conf(const TimeSources& time) {
  std::string text(made_by);
  for (const auto& server : time.servers) text += fmt::format("server {} iburst\n", server);
  for (const auto& prefix : time.serves) text += fmt::format("allow {}\n", prefix);
  // Nodes agree with each other even when nobody else answers.
  text += time.serves.empty() ? "port 0\n" : "local stratum 10\n";
  return text + "cmdport 0\nuser _chrony\ndriftfile /var/lib/chrony/chrony.drift\nmakestep 1 3\nrtcsync\n";
}

/// Names can be any address: then the firewall alone says whom chronyd speaks to.
std::string peers(const TimeSources& time) {
  const auto is_name = [](const std::string& server) {
    return server.find_first_not_of("0123456789.") != std::string::npos && server.find(':') == std::string::npos;
  };
  if (std::any_of(time.servers.begin(), time.servers.end(), is_name)) return "any";
  auto all = time.servers;
  all.insert(all.end(), time.serves.begin(), time.serves.end());
  return fmt::format("{}", fmt::join(all, " "));
}

}  // namespace

ConfigPart render_time(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  const auto& time = profile.time;
  if (tree.resolve("/usr/sbin/chronyd") != nullptr) {
    add_file(part, "/etc/chrony/chrony.conf", chrony_conf(time));
    part.removed.insert(part.removed.end(), {"/etc/chrony/sources.d", "/etc/chrony/conf.d"});
    add_file(
        part, "/etc/systemd/system/chrony.service.d/ingot.conf",
        fmt::format(sandbox, time.serves.empty() ? "CAP_SYS_TIME" : "CAP_SYS_TIME CAP_NET_BIND_SERVICE", peers(time)));
    want_unit(part, "chrony.service", "multi-user.target", "CIS, ANSSI-BP-028 R71, profile [time]");
  } else if (tree.resolve("/usr/lib/systemd/systemd-timesyncd") != nullptr) {
    add_file(part, "/etc/systemd/timesyncd.conf.d/ingot.conf",
             fmt::format("{}[Time]\nNTP={}\nFallbackNTP=\n", made_by, fmt::join(time.servers, " ")));
    want_unit(part, "systemd-timesyncd.service", "sysinit.target", "CIS, profile [time]");
  }
  return part;
}

}  // namespace ingot::builder::detail
