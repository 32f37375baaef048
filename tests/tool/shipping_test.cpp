// Records leave the node: real journald, journal-upload, nginx, journal-remote and sudo of Debian 13 with the files
// that we render for them. What happens is in tests/tool/shipping.
#include "ingot/builder/profile.hpp"
#include "ingot/signer/key.hpp"
#include "service_lab.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

Profile shipping_profile(const std::string& ca) {
  Profile profile;
  profile.name = "node";
  profile.disk.data_size_bytes = std::uint64_t{8} << 30;
  profile.shipping.enabled = true;
  REQUIRE(builder::complete_shipping(profile, {"logs.example", ca}));
  return profile;
}

void write_files(const std::string& folder, const Profile& profile) {
  write_part(folder, builder::render_storage(profile).value());
  write_part(folder, builder::render_shipping(profile).value());
}

struct Sides {
  builder::TemporaryFolder folder = scratch();
  std::string keys = folder.path() + "/keys", node = folder.path() + "/node", collector = folder.path() + "/collector";
  Sides() {
    const auto made = signer::init_keys(keys).value();
    const std::string ca(as_text(read_file(made.certificate("tls-ca"), 1u << 16).value()));
    auto profile = shipping_profile(ca);
    write_files(node, profile);
    profile.collector.enabled = true;
    write_files(collector, profile);
  }
};

}  // namespace

TEST_CASE("shipping: certified, stored by node, none lost under kill, alerts, sessions of sudo, notices") {
  const Sides sides;
  const std::string build = INGOT_BUILD;
  const Told told("shipping", {std::string(INGOT_SOURCE) + "/tests/tool/shipping", oracles, sides.node, sides.collector,
                               build + "/ingot", build + "/ingot-agent", sides.keys});

  CHECK(told.at("identity.other_key") == "1");
  CHECK(told.at("identity.other_authority") == "1");
  CHECK(told.at("identity.key_mode") == "600");
  CHECK(told.at("identity.name") == "gpu-1");
  CHECK(told.at("nginx.config") == "1");
  // Figure of issue 4: within 10 s. The first one waits for nothing but the uploader's start.
  CHECK(told.number("first.milliseconds") < 10'000);
  CHECK(told.number("second.milliseconds") < 10'000);
  CHECK(told.at("post.none") == "400");
  CHECK(told.at("post.other_authority") == "400");
  CHECK(told.at("post.server_only") == "400");
  CHECK(told.at("post.other_name") == "403");
  CHECK(told.at("post.certified") == "202");
  CHECK(told.at("forged.where") == "gpu-2");
  CHECK(told.number("kill.kills") >= 20);
  CHECK(told.at("kill.written") == "10000");
  CHECK(told.at("kill.distinct") == "10000");
  CHECK(told.number("alert.privilege") < 10'000);
  // 501 in one minute, or in two when one ends meanwhile.
  CHECK(told.number("limit.milliseconds") < 10'000);
  CHECK(told.number("limit.told") >= 20);
  CHECK(told.number("limit.told") <= 40);
  CHECK(told.number("malformed.alert") < 5'000);
  CHECK(told.number("malformed.later") < 5'000);
  CHECK(told.at("sudo.certified") == "recorded");
  told.says("sudo.record", "recorded");
  CHECK(told.at("sudo.address") == "10.9.0.2");
  CHECK(told.at("sudo.uncertified").empty());
  CHECK(told.at("queue.idle").empty());
  CHECK(told.at("queue.filling") == "<2>");
  CHECK(told.at("queue.dropped") == "<1>");
  CHECK(told.at("metrics.lost") == "1");
}

TEST_CASE("shipping: systemd takes the units, and none that we ship is more exposed than 2.0") {
  const Sides sides;
  check_units(sides.node, {"ingot-identity.service", "ingot-hostname.service", "ingot-hostname.path",
                           "ingot-renewed.service", "ingot-renewed.path", "systemd-journal-upload.service",
                           "ingot-certified.path", "ingot-queue.service", "ingot-queue.timer"});
  check_units(sides.collector,
              {"ingot-collect.socket", "ingot-collect@1.service", "ingot-collector.service", "ingot-collector.path",
               "ingot-sudo-logs.service", "ingot-sudo-logs.path", "ingot-alerts.service"});
}
