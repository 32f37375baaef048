// What of a node survives a boot. /var is a tmpfs (systemd.volatile=state); only two folders of it live on the data
// partition, so that a foothold in /var (timers, lingering users, spools) is gone with the next boot:
// /var/lib/ingot (identity, host keys, cursor of the shipping) and /var/log (journal, audit, recorded sessions).
#include <fmt/format.h>

#include "ingot/builder/config.hpp"

namespace ingot::builder {
namespace {

// x-systemd.makefs formats only where no file system or partition table is found (systemd-makefs@.service(8)). Without
// `nofail`: a node that cannot keep its records does not come up to be used.
constexpr std::string_view data_mount =
    "{} /var/lib/ingot ext4 nosuid,nodev,noexec,noatime,x-systemd.makefs,x-systemd.device-timeout=300s 0 2";
constexpr std::string_view log_mount =
    "/var/lib/ingot/log /var/log none bind,nosuid,nodev,noexec,x-systemd.requires-mounts-for=/var/lib/ingot 0 0";

constexpr std::string_view tmpfiles = R"(# Folders of the data partition.
d /var/lib/ingot 0755 root root
d /var/lib/ingot/identity 0700 root root
d /var/log 0755 root root
d /var/log/journal 2755 root systemd-journal
d /var/log/audit 0700 root root
)";

}  // namespace

ConfigPart render_storage(const Profile& profile) {
  ConfigPart part;
  if (profile.disk.data_size_bytes == 0) return part;
  // Its entry is in the image's partition table already, because PCR 5 measures that.
  part.fstab = {fmt::format(data_mount, data_device), std::string(log_mount)};
  part.files.push_back({"/usr/lib/tmpfiles.d/ingot-storage.conf", to_buffer(as_bytes(tmpfiles))});
  for (const auto* path : {"/var/lib/ingot", "/var/log"})
    part.settings.push_back(
        {SettingArea::mount, path, "nodev,noexec,nosuid", "/etc/fstab", "CIS Debian 13 1.1.2, ANSSI-BP-028 R28", ""});
  return part;
}

}  // namespace ingot::builder
