// A cast disk with room for volumes, and the systemd-repart of Debian 13 that makes them of what we put into the
// initrd.
#pragma once

#include <nlohmann/json.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/image.hpp"
#include "volume_site.hpp"

namespace ingot::test {

inline constexpr std::uint64_t mebibyte = 1u << 20;

inline Profile profile_with_volumes() {
  Profile profile;
  profile.volumes = {test_volume("state", state_mount), test_volume("models", "/srv/models")};
  profile.volumes.back().grow = true;
  return profile;
}

/// What the initrd of an image has for its volumes, in the TPM's folder.
inline void put_initrd(const Tpm& tpm, const Profile& profile) {
  const auto part = builder::render_initrd_volumes(profile).value();
  for (const auto& file : part.files) {
    const auto path = tpm.file("initrd" + file.path);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    REQUIRE(write_file(path, file.content));
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(file.mode));
  }
}

/// A cast disk with room for the volumes, and what the initrd has of them.
inline void cast(const Tpm& tpm, const Profile& profile) {
  std::uint64_t room_bytes = 0;
  for (const auto& volume : profile.volumes) room_bytes += volume.size_bytes;
  const auto guid = parse_guid("11111111-2222-4333-8444-555555555555").value();
  REQUIRE(builder::make_disk(guid, {{codec::linux_generic_type, guid, "data", {}, 4 * mebibyte}}, room_bytes,
                             tpm.file("disk"), builder::silent_progress()));
  put_initrd(tpm, profile);
}

inline std::vector<std::string> first_boot(const Tpm& tpm) {
  return {std::string(INGOT_SOURCE) + "/tests/tool/stock-repart", oracles,
          std::filesystem::path(tpm.file("")).parent_path()};
}

/// A unit of the initrd that looks at the volume "models", and the one that does what is to be done (stock-units).
/// `lines`: of the second, after which the power goes out.
inline std::vector<std::string> stock_units(const Tpm& tpm, const std::string& check, const std::string& unit,
                                            int lines = 99) {
  return {std::string(INGOT_SOURCE) + "/tests/tool/stock-units",
          oracles,
          std::filesystem::path(tpm.file("")).parent_path(),
          "models",
          check,
          unit,
          std::to_string(lines)};
}

struct Found {
  std::string name;
  std::uint64_t offset_bytes, size_bytes;
};
inline std::vector<Found> volumes_on(const std::string& disk) {
  std::vector<Found> found;
  const auto table = nlohmann::json::parse(output_of({"sfdisk", "--json", disk})).at("partitiontable");
  for (const auto& partition : table.at("partitions"))
    if (parse_guid(partition.at("type").get<std::string>()) == codec::ingot_volume_type)
      found.push_back({partition.at("name"), partition.at("start").get<std::uint64_t>() * codec::lba_size_bytes,
                       partition.at("size").get<std::uint64_t>() * codec::lba_size_bytes});
  return found;
}

/// The volume in a file of its own, where stock-unlock looks for it.
inline void take_out(const Tpm& tpm, const Found& volume) {
  const auto disk = file_source(tpm.file("disk")).value();
  const auto part = slice_source(disk, volume.offset_bytes, volume.size_bytes).value();
  tpm.write("volume", read_all(*part, 1u << 30).value());
}

}  // namespace ingot::test
