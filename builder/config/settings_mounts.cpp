// Mount options of folders that anybody may write to. What nobody may execute from is IPE's business as well.
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr SettingRow rows[] = {
    {SettingArea::mount, "/tmp", "nosuid,nodev,noexec", "/etc/systemd/system/tmp.mount.d/ingot.conf",
     "CIS, ANSSI-BP-028 R28", "OpenSCAP CIS, lynis", "installers that unpack programs there do not run"},
    {SettingArea::mount, "/dev/shm", "nosuid,nodev,noexec", "/etc/fstab", "CIS, ANSSI-BP-028 R28",
     "OpenSCAP CIS, lynis", ""},
    {SettingArea::mount, "/var", "nosuid,nodev,noexec", "/etc/fstab", "CIS, ANSSI-BP-028 R28",
     "OpenSCAP CIS, OpenSCAP ANSSI, lynis", "people's scripts in their homes run by their interpreter alone"},
    {SettingArea::mount, "/var/tmp", "nosuid,nodev,noexec", "/etc/fstab", "CIS, ANSSI-BP-028 R28",
     "OpenSCAP CIS, OpenSCAP ANSSI, lynis", "at most a tenth of the memory"},
};

}  // namespace

std::span<const SettingRow> mount_rows() { return rows; }

}  // namespace ingot::builder::detail
