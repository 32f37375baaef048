// What volumes ask of the initrd, and what the baseline says about them.
#include <algorithm>
#include <span>

#include "volume_keys.hpp"
#include "volume_parts.hpp"

namespace ingot::builder {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view key_tools[] = {"/usr/bin/bash",  "/usr/bin/jose",     "/usr/bin/mktemp",
                                          "/usr/bin/sleep", "/usr/bin/truncate", "/usr/sbin/cryptsetup"};
constexpr std::string_view tpm_tools[] = {"/usr/bin/rm", "/usr/bin/tpm2"};
constexpr std::string_view key_file_tools[] = {
    "/usr/bin/basenc", "/usr/bin/rmdir",  "/usr/bin/sha256sum",     "/usr/bin/stat",
    "/usr/bin/umount", "/usr/sbin/blkid", "/usr/lib/udev/cdrom_id", "/usr/lib/udev/rules.d/60-cdrom_id.rules"};
constexpr std::string_view key_server_tools[] = {"/usr/bin/curl",
                                                 "/usr/bin/clevis-decrypt-tang",
                                                 "/usr/bin/clevis-encrypt-tang",
                                                 "/usr/bin/networkctl",
                                                 "/usr/lib/systemd/systemd-networkd",
                                                 "/usr/lib/systemd/systemd-networkd-wait-online",
                                                 "/usr/lib/udev/rules.d/75-net-description.rules",
                                                 "/usr/lib/udev/rules.d/80-net-setup-link.rules"};
constexpr std::string_view key_server_units[] = {"systemd-networkd.service", "systemd-networkd.socket",
                                                 "systemd-networkd-wait-online.service"};
constexpr std::string_view in_place_tools[] = {"/usr/bin/base64",   "/usr/bin/bash",
                                               "/usr/bin/dd",       "/usr/bin/head",
                                               "/usr/bin/rm",       "/usr/bin/systemd-cryptenroll",
                                               "/usr/bin/truncate", "/usr/sbin/cryptsetup"};
// A header that `ingot seal` made gets another key slot, too.
constexpr std::string_view enrolling_tools[] = {"/usr/bin/systemd-cryptenroll", "/usr/bin/rm"};
constexpr std::string_view recovery_tools[] = {"/usr/bin/openssl", "/usr/sbin/cryptsetup"};

// Of key files: disks and drives of hypervisors and BMCs, USB sticks, and their file systems.
constexpr std::string_view media_modules[] = {"sd_mod",   "sr_mod",   "isofs", "vfat",
                                              "xhci_pci", "ehci_pci", "uas",   "usb_storage"};
// Drivers of network cards; those of kernel.modules come beside them.
constexpr std::string_view network_modules[] = {
    "af_packet", "8021q",     "bonding", "virtio_net", "e1000e", "igb", "igc",       "ixgbe",   "i40e",        "ice",
    "mlx4_en",   "mlx5_core", "bnxt_en", "tg3",        "ena",    "gve", "hv_netvsc", "vmxnet3", "xen_netfront"};
constexpr std::string_view integrity_modules[] = {"dm_integrity", "authenc", "hmac", "sha256_generic"};

void add(std::vector<std::string>& list, Names names) { list.insert(list.end(), names.begin(), names.end()); }

void sort_each_once(std::vector<std::string>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

VolumeMaker maker_of(const Volume& volume) {
  if (detail::has_shares(volume)) return VolumeMaker::shares;
  return detail::is_made_in_place(volume) ? VolumeMaker::in_place : VolumeMaker::any;
}

}  // namespace

InitrdNeeds initrd_volume_needs(const Profile& profile) {
  InitrdNeeds needs;
  const auto any = [&](auto is_so) { return std::any_of(profile.volumes.begin(), profile.volumes.end(), is_so); };
  if (any([](const Volume& volume) { return volume.filesystem == VolumeFilesystem::xfs; }))
    needs.files.emplace_back("/usr/sbin/mkfs.xfs");
  if (profile.has_recovery() || profile.asks_tpm()) add(needs.files, enrolling_tools);
  if (profile.has_recovery()) add(needs.files, recovery_tools);
  if (any(detail::is_made_in_place)) add(needs.files, in_place_tools);
  if (any([](const Volume& volume) { return volume.integrity; })) add(needs.modules, integrity_modules);
  if (any(detail::has_shares)) add(needs.files, key_tools);
  if (detail::asks(profile, KeyProvider::tpm)) add(needs.files, tpm_tools);
  if (detail::asks(profile, KeyProvider::file)) {
    add(needs.files, key_file_tools);
    add(needs.modules, media_modules);
  }
  if (detail::asks(profile, KeyProvider::tang)) {
    add(needs.files, key_server_tools);
    add(needs.units, key_server_units);
    add(needs.modules, network_modules);
  }
  for (auto* list : {&needs.files, &needs.units, &needs.modules}) sort_each_once(*list);
  return needs;
}

std::vector<NodeVolume> node_volumes(const Profile& profile) {
  std::vector<NodeVolume> volumes;
  for (const auto& volume : profile.volumes) volumes.push_back({volume.name, maker_of(volume)});
  return volumes;
}

}  // namespace ingot::builder
