#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "choice.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/builder/volume.hpp"
#include "ingot/crypto/chain.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::uint64_t mebibyte = 1u << 20;
/// Two copies of LUKS2's metadata with their key slots take 16 MiB, and a journal wants room.
constexpr std::uint64_t smallest_volume_bytes = 64 * mebibyte;
/// mkfs.xfs(8) wants 300 MiB; header and tags of dm-integrity take theirs before.
constexpr std::uint64_t smallest_xfs_bytes = 384 * mebibyte;
constexpr std::size_t volumes_cap = 16;
constexpr std::size_t mount_cap = 128;
/// Names of the disk's other partitions, and of what systemd maps and mounts by itself.
constexpr std::array taken_names = {std::string_view("root"),   std::string_view("usr"),  std::string_view("esp"),
                                    std::string_view("data"),   std::string_view("swap"), std::string_view("addresses"),
                                    std::string_view("control")};
/// The rest of a node is its image, or memory.
constexpr std::array data_folders = {std::string_view("/srv/"), std::string_view("/mnt/"),
                                     std::string_view("/var/lib/")};
constexpr std::array packages = {std::string_view("systemd-cryptsetup"), std::string_view("systemd-repart"),
                                 std::string_view("e2fsprogs")};
/// Beside mkswap, which is essential in Debian.
constexpr std::array swap_packages = {std::string_view("systemd-cryptsetup")};
/// What encrypts a recovery key and keeps it.
constexpr std::array recovery_packages = {std::string_view("openssl"), std::string_view("cryptsetup-bin")};
constexpr std::array xfs_packages = {std::string_view("xfsprogs")};
constexpr std::array making_packages = {std::string_view("cryptsetup-bin")};

bool is_mount(std::string_view text) {
  const bool is_below = std::any_of(data_folders.begin(), data_folders.end(), [&](std::string_view folder) {
    return text.starts_with(folder) && text.size() > folder.size();
  });
  return is_below && text.size() <= mount_cap && text.back() != '/' && text.find("//") == std::string_view::npos &&
         text.find("/.") == std::string_view::npos &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-.") ==
             std::string_view::npos;
}

Result<Volume*> named_volume(std::vector<Volume>& volumes, const TableReader& table) {
  const auto name = TRY(table.text("name"));
  if (!name) return wrong(table.at(), "a [[volume]] without name", "add name = \"models\"");
  if (!is_volume_name(name->value) ||
      std::find(taken_names.begin(), taken_names.end(), name->value) != taken_names.end())
    return wrong(
        name->at,
        fmt::format("name is \"{}\", expected small letters and digits, and not a name of the system's", name->value),
        "a name such as \"models\"");
  for (auto& volume : volumes)
    if (volume.name == name->value) return &volume;
  if (volumes.size() == volumes_cap) return wrong(name->at, fmt::format("more than {} volumes", volumes_cap));
  Volume made;
  made.name = name->value;
  volumes.push_back(std::move(made));
  return &volumes.back();
}

/// `enabled = false` stands alone: what a volume is to be, and that it is not to be, cannot both be meant.
Result<void> check_dropped(const TableReader& table, const std::string& name) {
  for (const auto& [key, value] : table.raw())
    if (key.str() != "name" && key.str() != "enabled")
      return wrong(table.at(key.str()), fmt::format("the volume \"{}\" is taken away, and has a {}", name, key.str()),
                   "take this line away, or enabled = false");
  return {};
}

/// How the volume is made.
Result<void> apply_making(Volume& volume, const TableReader& table) {
  static constexpr Choice<VolumeFilesystem> filesystems[] = {{"ext4", VolumeFilesystem::ext4},
                                                             {"xfs", VolumeFilesystem::xfs}};
  if (const auto filesystem = TRY(choose(table, "filesystem", filesystems))) volume.filesystem = filesystem->value;
  if (const auto recovery = TRY(table.boolean("recovery"))) volume.recovery = recovery->value;
  if (const auto integrity = TRY(table.boolean("integrity"))) volume.integrity = integrity->value;
  if (const auto erase = TRY(table.boolean("erase_on_redeploy"))) volume.erase_on_redeploy = erase->value;
  return {};
}

Result<void> check_making(const Draft& draft, const Volume& volume) {
  if (volume.filesystem == VolumeFilesystem::xfs) {
    if (volume.size_bytes < smallest_xfs_bytes)
      return wrong(volume.at,
                   fmt::format("the volume \"{}\" has {} MiB, and mkfs.xfs makes nothing below 300 MiB of its own",
                               volume.name, volume.size_bytes / mebibyte),
                   "set size = \"384MiB\" or more, or filesystem = \"ext4\"");
    TRY(check_packages(draft, volume.at, "filesystem = \"xfs\" of a [[volume]]", xfs_packages));
  }
  if (volume.integrity || volume.erase_on_redeploy)
    TRY(check_packages(draft, volume.at, "integrity or erase_on_redeploy of a [[volume]]", making_packages));
  if (volume.recovery) TRY(check_packages(draft, volume.at, "recovery of a [[volume]]", recovery_packages));
  return {};
}

}  // namespace

Result<void> apply_volumes(Draft& draft, const std::vector<TableReader>& volumes) {
  std::vector<const Volume*> seen;
  std::vector<std::string> dropped;
  const auto inherited = draft.profile.volumes.size();
  draft.profile.volumes.reserve(volumes_cap);  // `seen` points into it
  for (const auto& table : volumes) {
    TRY(table.only({"name", "mount", "size", "grow", "key", "recovery", "filesystem", "integrity", "erase_on_redeploy",
                    "enabled"}));
    auto* volume = TRY(named_volume(draft.profile.volumes, table));
    if (std::find(seen.begin(), seen.end(), volume) != seen.end())
      return wrong(table.at(), fmt::format("the volume \"{}\" is there twice", volume->name));
    seen.push_back(volume);
    volume->at = table.at();
    if (const auto enabled = TRY(table.boolean("enabled")); enabled && !enabled->value) {
      if (volume >= draft.profile.volumes.data() + inherited)
        return wrong(table.at("enabled"), fmt::format("\"{}\" takes away what is not inherited", volume->name));
      TRY(check_dropped(table, volume->name));
      dropped.push_back(volume->name);
      continue;
    }
    if (const auto mount = TRY(table.text("mount"))) {
      if (!is_mount(mount->value))
        return wrong(mount->at,
                     fmt::format("mount is \"{}\", expected a folder below {}", mount->value, "/srv, /mnt or /var/lib"),
                     "the rest of a node is its image, or memory");
      volume->mount = mount->value;
    }
    TRY(apply_size(volume->size_bytes, table, "size", smallest_volume_bytes));
    if (const auto grow = TRY(table.boolean("grow"))) volume->grow = grow->value;
    TRY(apply_volume_key(*volume, table));
    TRY(apply_making(*volume, table));
  }
  std::erase_if(draft.profile.volumes, [&](const Volume& volume) {
    return std::find(dropped.begin(), dropped.end(), volume.name) != dropped.end();
  });
  return {};
}

Result<void> finish_swap(const Draft& draft) {
  if (draft.profile.disk.swap_size_bytes == 0) return {};
  return check_packages(draft, draft.swap_at, "swap_size of [disk]", swap_packages);
}

Result<void> finish_volumes(const Draft& draft) {
  const auto& profile = draft.profile;
  for (std::size_t i = 0; i < profile.volumes.size(); ++i) {
    const auto& volume = profile.volumes[i];
    if (volume.mount.empty())
      return wrong(volume.at, fmt::format("the volume \"{}\" has no mount", volume.name),
                   "add mount = \"/srv/models\"");
    if (volume.size_bytes == 0)
      return wrong(volume.at, fmt::format("the volume \"{}\" has no size", volume.name),
                   "add size = \"100GiB\", and grow = true where it may take what a larger disk has left");
    for (std::size_t j = 0; j < i; ++j)
      if (profile.volumes[j].mount == volume.mount)
        return wrong(volume.at, fmt::format("the volumes \"{}\" and \"{}\" are both mounted at {}",
                                            profile.volumes[j].name, volume.name, volume.mount));
    if (volume.grow && i + 1 != profile.volumes.size())
      return wrong(
          volume.at,
          fmt::format("the volume \"{}\" grows, and \"{}\" comes after it", volume.name, profile.volumes.back().name),
          "only the last volume can take the rest of a disk");
    if (volume.mount == state_mount && profile.disk.data_size_bytes != 0)
      return wrong(volume.at, fmt::format("{} is a volume, and [disk] has a data_size for it, too", state_mount),
                   "set data_size = 0");
  }
  if (profile.volumes.empty()) return {};
  const auto& first = profile.volumes.front();
  if (!profile.boot.secure_boot)
    return wrong(first.at, "volumes are sealed to Secure Boot, and [boot] has secure_boot = false",
                 "take secure_boot = false away");
  TRY(check_packages(draft, first.at, "[[volume]]", packages));
  for (const auto& volume : profile.volumes) TRY(check_making(draft, volume));
  return {};
}

}  // namespace ingot::builder::detail

namespace ingot::builder {

bool is_volume_name(std::string_view text) {
  constexpr std::size_t name_cap = 31;
  return !text.empty() && text.size() <= name_cap && text.front() >= 'a' && text.front() <= 'z' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string_view::npos;
}

Result<void> complete_recovery(Profile& profile, const std::string& certificate_path, std::string_view pem) {
  if (!profile.has_recovery()) return {};
  const auto& at = profile.volumes.front().at;
  if (pem.empty())
    return detail::wrong(
        at, fmt::format("volumes have a recovery key, and there is no {} to encrypt it to", certificate_path),
        "put the operator's certificate there (`ingot keys init` makes one), or set recovery = false");
  const auto certificate = TRY_IN(certificate_path, crypto::Certificate::from_pem(pem));
  if (!crypto::can_receive(certificate))
    return detail::wrong(at,
                         fmt::format("{} is the certificate of {}, to whose key nothing can be encrypted",
                                     certificate_path, certificate.subject()),
                         "give one of an RSA key, whose key usage has keyEncipherment or none is set");
  profile.recovery_certificate = std::string(pem);
  return {};
}

}  // namespace ingot::builder
