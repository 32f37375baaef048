// One table of sandboxes. The base is what a program can stand that reads and writes files and speaks to nobody but
// local sockets; each unit says in what it differs, and why. `systemd-analyze security` counts most of the lines.
#include "sandbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace ingot::builder::detail {
namespace {

// No PrivateUsers=: a node without GPUs has user.max_user_namespaces=0 (settings_sysctl.cpp), where such a unit does
// not start, and where it does start, root and the owners of keys and journals are "nobody" to it.
constexpr std::string_view base[] = {
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "ProtectHostname=yes",
    "ProtectClock=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "IPAddressDeny=any",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    "DevicePolicy=closed",
    "UMask=0077",
};

struct Difference {
  std::string_view unit;
  /// Keys of the base that the unit leaves out, with blanks between; "*": all.
  std::string_view without;
  /// Its own lines. One takes the place of the base's lines of its key; with a '+' it comes beside them.
  std::string_view lines;
  std::string_view why;
};

constexpr Difference table[] = {
    {"ingot-hostname.service", "ProtectHostname", "ProtectKernelTunables=no\nProcSubset=all",
     "it writes to /proc/sys/kernel/hostname, which root may without a capability"},
    {"ingot-renewed.service", "", "ProtectProc=default\nProcSubset=all",
     "systemctl looks at process 1 to tell whether it is in a chroot, where it would do nothing"},
    {"ingot-queue.service", "", "UMask=0022", "a collector of metrics reads its figures"},
    {"ingot-collect@.service", "", "UMask=0027", "the group systemd-journal-remote reads journals"},
    {"ingot-alerts.service", "", "ProcSubset=all", "journalctl asks /proc/sys for the boot's id"},

    {"ingot-report-nft@.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_NET_ADMIN\nRestrictAddressFamilies=AF_NETLINK", "it reads the rules of the node's network"},
    {"ingot-report-audit_status@.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_AUDIT_CONTROL\nRestrictAddressFamilies=AF_NETLINK",
     "another network namespace cannot reach the kernel's audit"},
    {"ingot-report-audit_rules@.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_AUDIT_CONTROL\nRestrictAddressFamilies=AF_NETLINK",
     "another network namespace cannot reach the kernel's audit"},
    {"ingot-report-units@.service", "", "ProtectProc=default\nProcSubset=all",
     "systemctl looks at process 1 to tell whether it is in a chroot, where it would answer nothing"},
    {"ingot-report-unit_files@.service", "", "ProtectProc=default\nProcSubset=all",
     "systemctl looks at process 1 to tell whether it is in a chroot, where it would answer nothing"},

    {"systemd-journal-upload.service", "PrivateNetwork IPAddressDeny",
     "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSocketBindDeny=any", "it delivers over the network"},
    {"ingot-collector.service", "PrivateNetwork IPAddressDeny",
     "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSocketBindDeny=any", "it takes deliveries, on one port"},
    {"ingot-sudo-logs.service", "PrivateNetwork IPAddressDeny",
     "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSocketBindDeny=any", "it takes sessions, on one port"},
    {"ingot-sudo-logs.service", "", "+SystemCallFilter=@chown", "sudo_logsrvd gives records to iolog_user"},
    {"nginx.service", "PrivateNetwork IPAddressDeny",
     "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\nSocketBindDeny=any", "it serves, on one port"},
    {"nginx.service", "", "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE",
     "the port may be below 1024, and nginx is never root"},

    {"nftables.service", "PrivateTmp PrivateDevices", "UMask=0022", "it runs before there is a /tmp to write to"},
    {"nftables.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_NET_ADMIN\nRestrictAddressFamilies=AF_NETLINK AF_UNIX",
     "it gives the node's network its rules"},
    {"ingot-network.service", "PrivateTmp PrivateDevices", "UMask=0022", "it runs before there is a /tmp to write to"},
    {"ingot-network.service", "", "RestrictAddressFamilies=none", "it only writes text"},

    // Debian's unit confines it, but has BPF and all devices as well, to watch over sysctl and for tunnels that no site
    // has.
    {"systemd-networkd.service", "*",
     "DevicePolicy=closed\nDeviceAllow=\nProtectHostname=yes\nRemoveIPC=yes\nSystemCallFilter=~@resources bpf\n"
     "AmbientCapabilities=\nCapabilityBoundingSet=\nRestrictAddressFamilies=",
     "what Debian's unit leaves open; the rest is its own"},
    {"systemd-networkd.service, static", "*",
     "AmbientCapabilities=CAP_NET_ADMIN\nCapabilityBoundingSet=CAP_NET_ADMIN\n"
     "RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6\nIPAddressDeny=any",
     "it configures by netlink"},
    {"systemd-networkd.service, DHCP", "*",
     "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_RAW\n"
     "CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_RAW\n"
     "RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET",
     "DHCP takes packet sockets and ports"},

    // From here on, what a boot has shown to work; tests/builder/sandbox_test.cpp holds every line.
    {"audit-rules.service",
     "AmbientCapabilities ProtectProc ProcSubset ProtectKernelTunables ProtectControlGroups PrivateTmp PrivateDevices "
     "PrivateIPC KeyringMode RemoveIPC SystemCallErrorNumber DevicePolicy",
     "", "not tried in a boot"},
    {"audit-rules.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_AUDIT_CONTROL CAP_AUDIT_READ\nRestrictAddressFamilies=AF_NETLINK AF_UNIX\n"
     "SystemCallFilter=@system-service",
     "another network namespace cannot reach the kernel's audit (Linux, kernel/audit.c: audit_netlink_ok)"},
    {"auditd.service",
     "AmbientCapabilities ProtectProc ProcSubset ProtectKernelModules PrivateIPC KeyringMode LockPersonality "
     "MemoryDenyWriteExecute RemoveIPC RestrictRealtime SystemCallErrorNumber DevicePolicy",
     "SystemCallFilter=@system-service",
     "it looks up processes and sets its priority; the rest is not tried in a boot"},
    {"auditd.service", "PrivateNetwork",
     "CapabilityBoundingSet=CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_CHOWN CAP_FOWNER CAP_SYS_NICE\n"
     "RestrictAddressFamilies=AF_UNIX AF_NETLINK",
     "another network or user namespace cannot reach the kernel's audit"},
    {"ingot-host-keys.service", "AmbientCapabilities KeyringMode RemoveIPC SystemCallErrorNumber DevicePolicy",
     "RestrictAddressFamilies=none", "it only makes keys; the rest is not tried in a boot"},
    {"ssh.service",
     "NoNewPrivileges AmbientCapabilities ProtectHome ProtectProc ProcSubset PrivateIPC PrivateNetwork IPAddressDeny "
     "KeyringMode RemoveIPC RestrictSUIDSGID",
     "ProtectSystem=full\nPrivateDevices=no\nDeviceAllow=char-pts rw\nDeviceAllow=/dev/ptmx rw\n"
     "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
     "SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap\n"
     "SystemCallFilter=chroot\n"
     "CapabilityBoundingSet=CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL "
     "CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_SYS_RESOURCE CAP_AUDIT_CONTROL",
     "it starts shells for people, whose system calls, /proc and (set-id) sudo or pager must still work"},
};

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(at), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string_view key_of(std::string_view line) { return line.substr(0, line.find('=')); }

}  // namespace

std::string sandbox_of(std::string_view unit) {
  std::vector<std::string_view> replaced, own;
  for (const auto& row : table) {
    if (row.unit != unit) continue;
    for (const auto key : split(row.without, ' ')) replaced.push_back(key);
    for (const auto line : split(row.lines, '\n')) {
      const bool is_beside = line.starts_with('+');
      own.push_back(line.substr(is_beside ? 1 : 0));
      if (!is_beside) replaced.push_back(key_of(line));
    }
  }
  std::string out;
  for (const auto line : base)
    if (std::none_of(replaced.begin(), replaced.end(), [&](auto key) { return key == "*" || key == key_of(line); }))
      out += fmt::format("{}\n", line);
  for (const auto line : own) out += fmt::format("{}\n", line);
  return out;
}

}  // namespace ingot::builder::detail
