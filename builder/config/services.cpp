// systemd itself and the services that every node has: journal, no core dumps, temporary folders, time, nothing on the
// console.
#include <fmt/ranges.h>

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
};

bool has_unit(const Tree& tree, std::string_view unit) {
  return tree.find(fmt::format("/usr/lib/systemd/system/{}", unit)) != nullptr;
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
      // systemd-remount-fs(8) applies it to what is mounted already.
      part.fstab.push_back(fmt::format("tmpfs {} tmpfs {} 0 0", setting.name, setting.value));
    }
    part.settings.push_back(std::move(setting));
  }
}

/// chrony where the base has it, else systemd-timesyncd. Only servers that the profile names: no pool of the
/// distribution.
void add_time(ConfigPart& part, const Profile& profile, const Tree& tree) {
  const auto& time = profile.time;
  if (tree.resolve("/usr/sbin/chronyd") != nullptr) {
    std::string text(made_by);
    for (const auto& server : time.servers) text += fmt::format("server {} iburst\n", server);
    for (const auto& prefix : time.serves) text += fmt::format("allow {}\n", prefix);
    if (!time.serves.empty())
      text += "local stratum 10\n";  // nodes agree with each other even when nobody else answers
    if (time.serves.empty()) text += "port 0\n";
    text += "cmdport 0\nuser _chrony\ndriftfile /var/lib/chrony/chrony.drift\nmakestep 1 3\nrtcsync\n";
    add_file(part, "/etc/chrony/chrony.conf", text);
    part.removed.insert(part.removed.end(), {"/etc/chrony/sources.d", "/etc/chrony/conf.d"});
    want_unit(part, "chrony.service", "multi-user.target", "CIS, profile [time]");
  } else if (tree.resolve("/usr/lib/systemd/systemd-timesyncd") != nullptr) {
    add_file(part, "/etc/systemd/timesyncd.conf.d/ingot.conf",
             fmt::format("{}[Time]\nNTP={}\nFallbackNTP=\n", made_by, fmt::join(time.servers, " ")));
    want_unit(part, "systemd-timesyncd.service", "sysinit.target", "CIS, profile [time]");
  }
}

}  // namespace

Result<ConfigPart> render_services(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  add_file(part, "/etc/systemd/system.conf.d/ingot.conf", fmt::format("{}{}", made_by, manager));
  add_file(part, "/etc/systemd/journald.conf.d/ingot.conf", fmt::format("{}{}", made_by, journal));
  add_file(part, "/etc/systemd/coredump.conf.d/ingot.conf",
           fmt::format("{}[Coredump]\nStorage=none\nProcessSizeMax=0\n", made_by));
  for (const auto& [unit, source] : masked)
    if (has_unit(tree, unit)) mask_unit(part, unit, source);
  if (has_unit(tree, "systemd-journald-audit.socket"))
    part.links.push_back({"/etc/systemd/system/sockets.target.wants/systemd-journald-audit.socket",
                          "/usr/lib/systemd/system/systemd-journald-audit.socket"});
  add_mounts(part, profile, tree);
  add_time(part, profile, tree);
  return part;
}

}  // namespace ingot::builder::detail
