// Debian 13's systemd judges the units and runs the networks; its nginx runs the proxy.
#include "ingot/builder/network.hpp"

#include <sstream>

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

TEST_CASE("units: systemd knows every line, and nothing is exposed above 2.0") {
  const auto folder = test::scratch();
  const auto profile = profile_of("inference");
  const auto network = render_network(profile).value();
  const auto proxy = render_proxy(profile).value();
  for (const auto* part : {&network, &proxy})
    for (const auto& file : part->files) put(folder.path(), file);
  const std::vector<std::string> units = {"nginx.service", "nftables.service", "ingot-network.service",
                                          "systemd-networkd.service"};
  std::vector<std::string> command = {INGOT_SOURCE "/tests/tool/judge-units", tree, folder.path()};
  command.insert(command.end(), units.begin(), units.end());
  const auto said = output_of(command);
  INFO(said);
  std::istringstream lines(said);
  std::string unit;
  double exposure = 10;
  for (const auto& expected : units) {  // `verify` says nothing before them
    REQUIRE(lines >> unit >> exposure);
    CHECK(unit == expected);
    CHECK(exposure <= 2.0);
  }
}

TEST_CASE("nginx: a proxy takes modern TLS, limits requests and their size") {
  const auto folder = test::scratch();
  const auto part = render_proxy(profile_of("inference")).value();
  for (const auto& file : part.files) put(folder.path(), file);
  CHECK(output_of({INGOT_SOURCE "/tests/tool/proxy-runs", tree, folder.path()}) ==
        R"(nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
TLS 1.1 refused
no forward secrecy: refused
TLS 1.2 taken
TLS 1.3 taken
no tickets
200 model max-age=63072000; includeSubDomains nginx
too large: 413 large enough: 200
under load: [200, 429] served at least the burst: True refused most: True
HSTS on refusals: True
)");
}
