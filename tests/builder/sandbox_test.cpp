// What units are held to, line by line where a boot has shown it to work.
#include "../../builder/config/sandbox.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>
#include <vector>

using namespace ingot::builder::detail;

namespace {

std::vector<std::string> sorted_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

bool has_line(const std::string& text, const std::string& line) {
  const auto lines = sorted_lines(text);
  return std::binary_search(lines.begin(), lines.end(), line);
}

}  // namespace

TEST_CASE("sandbox: audit and sshd are held to what a boot has shown to work, and to no more") {
  struct Row {
    const char* unit;
    const char* lines;
  };
  const Row rows[] = {
      {"audit-rules.service",
       "CapabilityBoundingSet=CAP_AUDIT_CONTROL CAP_AUDIT_READ\nNoNewPrivileges=yes\nProtectSystem=strict\n"
       "ProtectHome=yes\nProtectClock=yes\nProtectHostname=yes\nProtectKernelLogs=yes\nProtectKernelModules=yes\n"
       "RestrictAddressFamilies=AF_NETLINK AF_UNIX\nRestrictNamespaces=yes\nRestrictRealtime=yes\n"
       "RestrictSUIDSGID=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nSystemCallArchitectures=native\n"
       "SystemCallFilter=@system-service\nUMask=0077\nIPAddressDeny=any\n"},
      {"auditd.service",
       "CapabilityBoundingSet=CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_CHOWN CAP_FOWNER CAP_SYS_NICE\n"
       "NoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\n"
       "ProtectClock=yes\nProtectHostname=yes\nProtectKernelTunables=yes\nProtectKernelLogs=yes\n"
       "ProtectControlGroups=yes\nRestrictAddressFamilies=AF_UNIX AF_NETLINK\nRestrictNamespaces=yes\n"
       "RestrictSUIDSGID=yes\nSystemCallArchitectures=native\nSystemCallFilter=@system-service\nUMask=0077\n"
       "IPAddressDeny=any\n"},
      {"ingot-host-keys.service",
       "UMask=0077\nCapabilityBoundingSet=\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\n"
       "ProtectProc=invisible\nProcSubset=pid\nPrivateTmp=yes\nPrivateDevices=yes\nPrivateNetwork=yes\n"
       "PrivateIPC=yes\nProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\n"
       "ProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\nRestrictAddressFamilies=none\n"
       "RestrictNamespaces=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\nLockPersonality=yes\n"
       "MemoryDenyWriteExecute=yes\nSystemCallArchitectures=native\nSystemCallFilter=@system-service\n"
       "SystemCallFilter=~@privileged @resources\nIPAddressDeny=any\n"},
      {"ssh.service",
       "ProtectSystem=full\nProtectClock=yes\nProtectHostname=yes\nProtectKernelTunables=yes\n"
       "ProtectKernelModules=yes\nProtectKernelLogs=yes\nProtectControlGroups=yes\nPrivateTmp=yes\n"
       "PrivateDevices=no\nDevicePolicy=closed\nDeviceAllow=char-pts rw\nDeviceAllow=/dev/ptmx rw\n"
       "RestrictRealtime=yes\nRestrictNamespaces=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n"
       "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\nSystemCallArchitectures=native\n"
       "SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap\n"
       "SystemCallFilter=chroot\nSystemCallErrorNumber=EPERM\n"
       "CapabilityBoundingSet=CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL "
       "CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_SYS_RESOURCE CAP_AUDIT_CONTROL\nUMask=0077\n"},
  };
  for (const auto& row : rows) {
    INFO(row.unit);
    CHECK(sorted_lines(sandbox_of(row.unit)) == sorted_lines(row.lines));
  }
}

TEST_CASE("sandbox: a unit has the base, but for what it does otherwise") {
  const auto base = sandbox_of("of-no-row.service");
  for (const auto* line : {"PrivateNetwork=yes", "ProcSubset=pid", "CapabilityBoundingSet=", "UMask=0077"})
    CHECK(has_line(base, line));
  CHECK(sandbox_of("ingot-onward-key.service") == base);

  const auto alerts = sandbox_of("ingot-alerts.service");
  CHECK(has_line(alerts, "ProcSubset=all"));  // in the place of the base's
  CHECK_FALSE(has_line(alerts, "ProcSubset=pid"));
  const auto sudo = sandbox_of("ingot-sudo-logs.service");
  for (const auto* line : {"SystemCallFilter=~@privileged @resources", "SystemCallFilter=@chown"})
    CHECK(has_line(sudo, line));
  CHECK(sudo.find("~@privileged") < sudo.find("=@chown"));  // the later one counts
  CHECK_FALSE(has_line(sudo, "PrivateNetwork=yes"));
  CHECK(sandbox_of("systemd-networkd.service, static").find("ProtectSystem") == std::string::npos);
}

TEST_CASE("sandbox: no user namespace where a key or a journal is read, or where the kernel makes none") {
  for (const auto* unit :
       {"systemd-journal-upload.service", "ingot-queue.service", "ingot-collect@.service", "ingot-collector.service",
        "ingot-sudo-logs.service", "ingot-alerts.service", "ingot-identity.service", "ingot-onward-key.service"}) {
    INFO(unit);
    CHECK(sandbox_of(unit).find("PrivateUsers=yes") == std::string::npos);
  }
}
