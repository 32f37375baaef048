// Swap under a key that each boot draws anew and that nobody keeps: volumes.md, "Swap".
#include "parts.hpp"

namespace ingot::builder {
namespace {

// crypttab(5). "plain": no header, so nothing on the disk tells the partition from noise. "swap": formatted on each
// boot, because under a new key nothing is found on it.
constexpr std::string_view crypttab =
    "swap /dev/disk/by-partlabel/swap /dev/urandom "
    "plain,swap,cipher=aes-xts-plain64,size=512,sector-size=4096,x-systemd.device-timeout=300s\n";
constexpr std::string_view fstab = "/dev/mapper/swap none swap sw 0 0";

/// As the agent tells it of the one swap (verifier/codec/report.md).
constexpr std::string_view only_ours = "partition, label swap, mapped swap, uuid CRYPT-PLAIN-swap";
constexpr std::string_view no_swap = "none";

}  // namespace

ConfigPart render_swap(const Profile& profile) {
  ConfigPart part;
  const bool has_swap = profile.disk.swap_size_bytes != 0;
  part.settings.push_back({SettingArea::mount, "swap", std::string(has_swap ? only_ours : no_swap),
                           has_swap ? "/etc/crypttab" : "", "Ingot, volumes", ""});
  if (!has_swap) return part;
  // Its entry is in the image's partition table already, because PCR 5 measures that.
  detail::add_file(part, "/etc/crypttab", crypttab);
  part.fstab.emplace_back(fstab);
  return part;
}

}  // namespace ingot::builder
