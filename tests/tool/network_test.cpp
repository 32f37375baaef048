// Debian 13's systemd judges the units and runs the networks.
#include "ingot/builder/network.hpp"

#include "ingot/base/output.hpp"
#include "ingot/builder/profile.hpp"
#include "tool/tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using ingot::test::output_of;
using ingot::test::run_tool;

namespace {

namespace fs = std::filesystem;
const std::string tree = INGOT_BUILD "/../oracles";

void put(const std::string& root, const ExtraFile& file) {
  fs::create_directories(fs::path(root + file.path).parent_path());
  REQUIRE(write_file(root + file.path, file.content));
  fs::permissions(root + file.path, fs::perms(file.mode));
}

Profile profile_of(const std::string& name) { return load_profile(INGOT_SOURCE "/profiles/" + name + ".toml").value(); }

/// What systemd says of a line that it does not take.
constexpr const char* complaints[] = {"Unknown key", "Unknown section", "Failed to parse", "Invalid ", "has no effect"};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("networkd: a training node's links come up as the site says") {
  const auto folder = test::scratch();
  const auto part = render_network(profile_of("training")).value();
  for (const auto& file : part.files) put(folder.path(), file);
  put(folder.path(), {"/var/lib/ingot/network/addresses",
                      to_buffer(as_bytes("fabric 10.0.0.17/24\nstorage 10.40.0.17/24\nstorage fd00:40::1:17/64\n"))});
  output_of({"sh", folder.path() + "/usr/lib/ingot/ingot-network", folder.path()});
  const auto seen = output_of({INGOT_SOURCE "/tests/tool/networkd-runs", tree, folder.path()});
  INFO(seen);
  for (const auto* complaint : complaints) CHECK_FALSE(has(seen, complaint));
  for (const auto* expected :
       {"10.0.0.17/24", "10.40.0.17/24", "fd00:40::1:17/64", "mtu 8950", "vxlan id 4000 local 10.0.0.17",
        "dstport 4789", "00:00:00:00:00:00 dst 10.0.0.16", "00:00:00:00:00:00 dst 10.0.0.49"})
    CHECK(has(seen, expected));
  CHECK_FALSE(has(seen, "dst 10.0.0.17 "));
}

TEST_CASE("networkd: a line that it does not know is told") {
  const auto folder = test::scratch();
  put(folder.path(),
      {"/etc/systemd/network/20-fabric.network", to_buffer(as_bytes("[Match]\nName=fabric\n[Network]\nLLMMR=no\n"))});
  fs::create_directories(folder.path() + "/run/systemd/network");
  CHECK(has(output_of({INGOT_SOURCE "/tests/tool/networkd-runs", tree, folder.path()}), complaints[0]));
}

TEST_CASE("networkd: no file of any role has a line that systemd does not know") {
  for (const auto* role : {"training", "inference", "storage", "management"}) {
    INFO(role);
    const auto folder = test::scratch();
    const auto part = render_network(profile_of(role)).value();
    for (const auto& file : part.files) put(folder.path(), file);
    fs::create_directories(folder.path() + "/run/systemd/network");
    const auto seen = output_of({INGOT_SOURCE "/tests/tool/networkd-runs", tree, folder.path()});
    INFO(seen);
    for (const auto* complaint : complaints) CHECK_FALSE(has(seen, complaint));
  }
}
