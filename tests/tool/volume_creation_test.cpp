// Volumes as a node makes them on its first boot, made by the systemd of Debian 13 from what we put into the initrd.
#include <catch2/catch.hpp>
#include <chrono>

#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
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
  const auto policy = nlohmann::json::parse(as_text(tpm.read("run/pcrlock.json")));
  for (const auto& volume : found) {
    INFO(volume.name);
    take_out(tpm, volume);
    const auto dump =
        nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
    CHECK(dump.at("keyslots").size() == 1);
    REQUIRE(dump.at("tokens").size() == 1);
    CHECK(dump.at("tokens").at("0").at("type") == "systemd-tpm2");
    const auto public_area = parse_base64(std::string(policy.at("nvPublic"))).value();  // with its size in front
    const auto index = codec::decode_tpm_nv_public(Bytes(public_area).subspan(2)).value();
    CHECK(dump.at("tokens").at("0").at("tpm2-policy-hash") ==
          nlohmann::json{to_hex(site.policy().digest),
                         to_hex(measure::index_policy(site.policy().by_value, index).value())});
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
