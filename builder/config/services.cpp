// systemd itself and the services that every node has: journal, no core dumps, temporary folders, nothing on the
// console.

#include "parts.hpp"
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view manager = R"([Manager]
CtrlAltDelBurstAction=none
DumpCore=no
CrashShell=no
DefaultLimitCORE=0
)";

constexpr std::string_view journal = R"([Journal]
Storage=persistent
Compress=yes
Audit=yes
ForwardToSyslog=no
ForwardToConsole=no
ForwardToWall=no
# What is over the rate is lost; records of an attack are the ones over it.
RateLimitIntervalSec=0
)";

struct Masked {
  std::string_view unit;
  std::string_view source;
};
/// Masked where the base has them. A node is replaced, not changed in place, and has no console.
constexpr Masked masked[] = {
    {"ctrl-alt-del.target", "CIS: no restart from the keyboard"},
    {"systemd-coredump.socket", "CIS: no core dumps"},
    {"apt-daily.timer", "nothing is installed in place"},
    {"apt-daily-upgrade.timer", "nothing is installed in place"},
    {"apt-daily.service", "nothing is installed in place"},
    {"apt-daily-upgrade.service", "nothing is installed in place"},
    {"dpkg-db-backup.timer", "nothing is installed in place"},
    {"e2scrub_all.timer", "no file system of it is there"},
    {"fstrim.timer", "no file system of it is there"},
    {"systemd-sysupdate.timer", "nothing is installed in place"},
    {"rpcbind.socket", "CIS: no RPC"},
    {"rpcbind.service", "CIS: no RPC"},
    {"avahi-daemon.service", "CIS: no mDNS"},
    {"avahi-daemon.socket", "CIS: no mDNS"},
    {"bluetooth.service", "CIS"},
    {"cups.service", "CIS"},
    {"systemd-journal-remote.socket", "CIS: nobody but ours takes records in"},
    {"systemd-journal-gatewayd.socket", "nobody reads the journal by HTTP"},
    {"rpc-statd.service", "NFS 4 alone"},
    {"rpc-statd-notify.service", "NFS 4 alone"},
    {"nfs-blkmap.service", "no pNFS block layout"},
    {"logrotate.timer", "journald and auditd bound their own files"},
};

bool has_unit(const Tree& tree, std::string_view unit) {
  return tree.find(fmt::format("/usr/lib/systemd/system/{}", unit)) != nullptr;
}

/// What a tmpfs has besides its row: size as systemd's own has it (systemd-fstab-generator(8), "systemd.volatile=").
std::string_view tmpfs_options(std::string_view point) {
  if (point == "/var") return "mode=0755,size=25%,nr_inodes=1m,";
  if (point == "/var/tmp") return "mode=1777,size=10%,nr_inodes=100k,";
  return "";
}

void add_mounts(ConfigPart& part, const Profile& profile, const Tree& tree) {
  for (auto& setting : chosen_settings(profile.hardening, SettingArea::mount)) {
    if (setting.name == "/tmp") {
      if (!has_unit(tree, "tmp.mount")) continue;
      add_file(
          part, setting.file,
          fmt::format("{}[Mount]\nOptions=mode=1777,strictatime,size=50%%,nr_inodes=1m,{}\n", made_by, setting.value));
      part.links.push_back(
          {"/etc/systemd/system/local-fs.target.wants/tmp.mount", "/usr/lib/systemd/system/tmp.mount"});
    } else {
      // systemd-remount-fs(8) applies it to what is mounted already; /var takes the place of the generator's own.
      part.fstab.push_back(
          fmt::format("tmpfs {} tmpfs {}{} 0 0", setting.name, tmpfs_options(setting.name), setting.value));
    }
    part.settings.push_back(std::move(setting));
  }
}

/// Interfaces that came up after systemd-sysctl ran, under the name that CIS gives the unit.
constexpr std::string_view sysctl_again = R"([Unit]
Description=Network settings of the kernel once more, for interfaces that came late
Documentation=man:systemd-sysctl.service(8)
After=systemd-sysctl.service systemd-networkd.service network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-sysctl --prefix=/net/ipv4 --prefix=/net/ipv6
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectProc=invisible
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
IPAddressDeny=any

[Install]
WantedBy=multi-user.target
)";

void add_sysctl_again(ConfigPart& part) {
  const std::string path = "/etc/systemd/system/sysctl-reapply-network.service";
  add_file(part, path, sysctl_again);
  part.links.push_back({"/etc/systemd/system/multi-user.target.wants/sysctl-reapply-network.service", path});
  part.settings.push_back({SettingArea::unit, "sysctl-reapply-network.service", "active", path, "CIS", ""});
}

}  // namespace

Result<ConfigPart> render_services(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  add_file(part, "/etc/systemd/system.conf.d/ingot.conf", fmt::format("{}{}", made_by, manager));
  add_file(part, "/etc/systemd/journald.conf", fmt::format("{}{}", made_by, journal));
  add_file(part, "/etc/systemd/coredump.conf.d/ingot.conf",
           fmt::format("{}[Coredump]\nStorage=none\nProcessSizeMax=0\n", made_by));
  add_file(part, "/etc/apt/apt.conf.d/99ingot", "APT::Install-Recommends \"0\";\nAPT::Install-Suggests \"0\";\n");
  for (const auto& [unit, source] : masked)
    if (has_unit(tree, unit)) mask_unit(part, unit, source);
  if (has_unit(tree, "systemd-journald-audit.socket"))
    part.links.push_back({"/etc/systemd/system/sockets.target.wants/systemd-journald-audit.socket",
                          "/usr/lib/systemd/system/systemd-journald-audit.socket"});
  // No cron and no at reads them; systemd's timers do what is needed.
  for (const auto* folder : {"/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly", "/etc/cron.weekly",
                             "/etc/cron.monthly", "/etc/cron.yearly", "/etc/crontab"})
    part.removed.emplace_back(folder);
  add_mounts(part, profile, tree);
  add_sysctl_again(part);
  return part;
}

}  // namespace ingot::builder::detail
