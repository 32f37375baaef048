// What of a node survives a boot. /var is a tmpfs (systemd.volatile=state); only two folders of it are on a disk, so
// that a foothold in /var (timers, lingering users, spools) is gone with the next boot: /var/lib/ingot (identity, host
// keys, cursor of the shipping) and /var/log (journal, audit, recorded sessions). And the volumes of the profile.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/codec/luks_header.hpp"
#include "ingot/measure/volume_policy.hpp"
#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view data_partition = "/dev/disk/by-partlabel/data";
// x-systemd.makefs formats only where no file system or partition table is found (systemd-makefs@.service(8)). Without
// `nofail`: a node that cannot keep its records does not come up to be used.
constexpr std::string_view mount_line = "{} {} {} nosuid,nodev,noexec,noatime,{}x-systemd.device-timeout=300s 0 {}";
constexpr std::string_view log_mount =
    "/var/lib/ingot/log /var/log none bind,nosuid,nodev,noexec,x-systemd.requires-mounts-for=/var/lib/ingot 0 0";

constexpr std::string_view tmpfiles = R"(# Folders of the node's state.
d /var/lib/ingot 0755 root root
d /var/lib/ingot/identity 0700 root root
d /var/log 0755 root root
d /var/log/journal 2755 root systemd-journal
d /var/log/audit 0700 root root
)";

void expect_mount(ConfigPart& part, const std::string& path) {
  part.settings.push_back(
      {SettingArea::mount, path, "nodev,noexec,nosuid", "/etc/fstab", "CIS Debian 13 1.1.2, ANSSI-BP-028 R28", ""});
}

/// The header of a volume as systemd-repart and add_recovery() make it (facts: verifier/codec/report.md).
Result<void> expect_volume(ConfigPart& part, const Profile& profile, const Volume& volume) {
  // dm-crypt keeps the HMAC's key of 256 bits behind the cipher's.
  auto value = fmt::format("crypt aes-xts-plain64{}, mapped {}",
                           volume.integrity ? "+hmac(sha256), key 768 bits" : ", key 512 bits", volume.name);
  if (volume.erase_on_redeploy) value += fmt::format(", {}", codec::luks_erased_fact);
  const bool is_for_next = !profile.boot.next_pcr_7.empty() && !detail::has_shares(volume);
  std::vector<std::string> slots = {std::string(is_for_next ? codec::luks_next_slots : detail::key_token_type(volume))};
  if (volume.recovery) slots.push_back(fmt::format("systemd-recovery+{}", codec::luks_recovery_type));
  std::sort(slots.begin(), slots.end());
  if (!detail::has_shares(volume))
    value += fmt::format(", pcrs {} {}, signed pcrs {}, release index", to_text(measure::volume_bank),
                         fmt::join(measure::volume_pcrs, "+"), fmt::join(measure::volume_signed_pcrs, "+"));
  if (detail::key_token_type(volume) == codec::luks_shares_type) {
    std::vector<std::string_view> shares;
    for (const auto provider : volume.key) shares.push_back(detail::provider_word(provider));
    std::sort(shares.begin(), shares.end());
    value += fmt::format(", shares {}", fmt::join(shares, "+"));
  }
  value += fmt::format(", slots {}", fmt::join(slots, " "));
  if (volume.recovery) value += fmt::format(", recovery {}", TRY(detail::recovery_recipient(profile)));
  part.settings.push_back({SettingArea::volume, volume.name, value, "/etc/fstab", "Ingot, volumes", ""});
  return {};
}

}  // namespace

Result<ConfigPart> render_storage(const Profile& profile) {
  ConfigPart part;
  // Its entry is in the image's partition table already, because PCR 5 measures that.
  if (profile.disk.data_size_bytes != 0)
    part.fstab.push_back(fmt::format(mount_line, data_partition, state_mount, "ext4", "x-systemd.makefs,", 2));
  for (const auto& volume : profile.volumes) {
    // xfs replays its journal when it is mounted; fsck.xfs(8) does nothing.
    part.fstab.push_back(fmt::format(mount_line, "/dev/mapper/" + volume.name, volume.mount,
                                     detail::filesystem_word(volume), "",
                                     volume.filesystem == VolumeFilesystem::xfs ? 0 : 2));
    part.folders.push_back(volume.mount);
    TRY(expect_volume(part, profile, volume));
    if (volume.mount != state_mount) expect_mount(part, volume.mount);
  }
  if (std::any_of(profile.volumes.begin(), profile.volumes.end(), detail::is_made_in_place))
    part.files.push_back(detail::reserved_mark());
  if (profile.state_bytes() == 0) return part;
  part.fstab.emplace_back(log_mount);
  part.files.push_back({"/usr/lib/tmpfiles.d/ingot-storage.conf", to_buffer(as_bytes(tmpfiles))});
  for (const auto* path : {state_mount, "/var/log"}) expect_mount(part, path);
  return part;
}

}  // namespace ingot::builder
