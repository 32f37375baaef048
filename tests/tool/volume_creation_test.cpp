// Volumes as a node makes them on its first boot, made by the systemd of Debian 13 from what we put into the initrd.
#include <catch2/catch.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/image.hpp"
#include "volume_site.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mebibyte = 1u << 20;

Profile profile_with_volumes() {
  Profile profile;
  profile.volumes = {{"state", state_mount, 64 * mebibyte, false, false, {}},
                     {"models", "/srv/models", 64 * mebibyte, true, false, {}}};
  return profile;
}

/// A cast disk with room for the volumes, and what the initrd has of them.
void cast(const Tpm& tpm, const Profile& profile) {
  std::uint64_t room_bytes = 0;
  for (const auto& volume : profile.volumes) room_bytes += volume.size_bytes;
  const auto guid = parse_guid("11111111-2222-4333-8444-555555555555").value();
  REQUIRE(builder::make_disk(guid, {{codec::linux_generic_type, guid, "data", {}, 4 * mebibyte}}, room_bytes,
                             tpm.file("disk"), builder::silent_progress()));
  const auto part = builder::render_initrd_volumes(profile).value();
  for (const auto& file : part.files) {
    const auto path = tpm.file("initrd" + file.path);
    fs::create_directories(fs::path(path).parent_path());
    REQUIRE(write_file(path, file.content));
  }
}

std::vector<std::string> first_boot(const Tpm& tpm) {
  return {std::string(INGOT_SOURCE) + "/tests/tool/stock-repart", oracles, fs::path(tpm.file("")).parent_path()};
}

struct Found {
  std::string name;
  std::uint64_t offset_bytes, size_bytes;
};
std::vector<Found> volumes_on(const std::string& disk) {
  std::vector<Found> found;
  const auto table = nlohmann::json::parse(output_of({"sfdisk", "--json", disk})).at("partitiontable");
  for (const auto& partition : table.at("partitions"))
    if (parse_guid(partition.at("type").get<std::string>()) == codec::ingot_volume_type)
      found.push_back({partition.at("name"), partition.at("start").get<std::uint64_t>() * codec::lba_size_bytes,
                       partition.at("size").get<std::uint64_t>() * codec::lba_size_bytes});
  return found;
}

/// The volume in a file of its own, where stock-unlock looks for it.
void take_out(const Tpm& tpm, const Found& volume) {
  const auto disk = file_source(tpm.file("disk")).value();
  const auto part = slice_source(disk, volume.offset_bytes, volume.size_bytes).value();
  tpm.write("volume", read_all(*part, 1u << 30).value());
}

}  // namespace

TEST_CASE("volume creation: systemd-repart makes all of them, under the policy that was predicted, and only once") {
  if (no_systemd()) return;
  const Tpm tpm;
  const SealingSite site(tpm);
  site.boot(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  cast(tpm, profile_with_volumes());
  output_of(first_boot(tpm));
  const auto found = volumes_on(tpm.file("disk"));
  REQUIRE(found.size() == 2);
  for (const auto& volume : found) {
    INFO(volume.name);
    take_out(tpm, volume);
    const auto dump =
        nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
    CHECK(dump.at("keyslots").size() == 1);
    REQUIRE(dump.at("tokens").size() == 1);
    CHECK(dump.at("tokens").at("0").at("type") == "systemd-tpm2");
    CHECK(dump.at("tokens").at("0").at("tpm2-policy-hash") == to_hex(site.policy().digest));
    CHECK(opens(tpm));
  }
  CHECK(found[0].name == "state");
  CHECK(found[0].size_bytes == 64 * mebibyte);
  CHECK(found[1].size_bytes >= 64 * mebibyte);
  CHECK(output_of({"sfdisk", "--verify", tpm.file("disk")}).find("No errors detected") != std::string::npos);
  // Each further boot finds them.
  const auto before = digest_of(tpm.file("disk"));
  output_of(first_boot(tpm));
  CHECK(digest_of(tpm.file("disk")) == before);
}

TEST_CASE("volume creation: a power cut leaves no volume or a whole one, and the next boot finishes") {
  if (no_systemd()) return;
  const Tpm tpm;
  const SealingSite site(tpm);
  site.boot(tpm);
  tpm.make_srk("ecc256:aes128cfb");
  constexpr int cuts = 20;
  double usual = 0;
  for (int warm = 0; warm < 2; ++warm) {
    cast(tpm, profile_with_volumes());
    const auto begun = std::chrono::steady_clock::now();
    output_of(first_boot(tpm));
    usual = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
  int unfinished = 0;
  for (int cut = 1; cut <= cuts; ++cut) {
    const auto after = fmt::format("{:.3f}", usual * cut / (cuts + 1));
    INFO("cut after " << after << " s of " << usual);
    cast(tpm, profile_with_volumes());
    auto command = first_boot(tpm);
    command.insert(command.begin(), {"timeout", "--signal=KILL", after});
    (void)run_tool(command);
    // The TPM has lost power, too.
    tpm.tool({"tpm2_flushcontext", "-t"});
    tpm.tool({"tpm2_flushcontext", "-l"});
    const auto left = volumes_on(tpm.file("disk"));
    CHECK((left.empty() || left.size() == 2));
    unfinished += left.empty() ? 1 : 0;
    output_of(first_boot(tpm));
    const auto found = volumes_on(tpm.file("disk"));
    REQUIRE(found.size() == 2);
    take_out(tpm, found[static_cast<std::size_t>(cut % 2)]);
    CHECK(opens(tpm));
  }
  CHECK(unfinished > 0);  // else the cuts came too late to mean anything
}
