#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "ingot/builder/config.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

using List = std::vector<std::string>;

Profile shipped(const std::string& name) {
  auto profile = load_profile(INGOT_SOURCE "/profiles/" + name + ".toml");
  if (!profile) FAIL(describe(profile.error()));
  return *std::move(profile);
}

Tree with_programs(std::initializer_list<const char*> paths) {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  for (const auto* path : paths) REQUIRE(tree.put_file(path, {1}, 0755));
  return tree;
}

List sockets(const Profile& profile, const Tree& tree) {
  List out;
  for (const auto& setting : render_listening(profile, tree).settings) {
    CHECK(setting.area == SettingArea::socket);
    out.push_back(fmt::format("{} {}", setting.name, setting.value));
  }
  std::sort(out.begin(), out.end());
  return out;
}
List sockets(const Profile& profile) { return sockets(profile, with_programs({})); }

}  // namespace

TEST_CASE("listening: what the shipped roles listen on is what their site says") {
  CHECK(sockets(shipped("training")) ==
        List{"tcp *:29500-29599 allowed", "udp *:4791 allowed", "udp 0.0.0.0:4789 allowed"});
  CHECK(sockets(shipped("inference")) == List{"tcp *:29500-29599 allowed", "tcp 0.0.0.0:443 allowed",
                                              "tcp 127.0.0.1:8000 allowed", "tcp [::]:443 allowed"});
  CHECK(sockets(shipped("storage")) == List{"tcp *:2049 allowed", "udp 0.0.0.0:4789 allowed"});
  CHECK(sockets(shipped("management")) == List{"udp *:123 allowed"});  // the collector's ports: render_shipping()
  CHECK(sockets(shipped("standalone")).empty());
}

TEST_CASE("listening: services of the profile") {
  auto profile = shipped("training");
  profile.time = {};  // which the site would say
  const auto before = sockets(profile);
  const auto added = [&](const Tree& tree) {
    List more;
    for (const auto& socket : sockets(profile, tree))
      if (std::find(before.begin(), before.end(), socket) == before.end()) more.push_back(socket);
    return more;
  };
  const auto none = with_programs({});
  SECTION("sshd must be there") {
    profile.ssh.enabled = true;
    CHECK(added(none) == List{"tcp 0.0.0.0:22 listening", "tcp [::]:22 listening"});
  }
  SECTION("DHCP, of the families that are leased") {
    for (auto& plane : profile.site->planes)
      if (plane.name == "management") plane.addressing = Addressing::dhcp;
    CHECK(added(none) == List{"udp *:546 allowed", "udp *:68 allowed"});
  }
  SECTION("an overlay over IPv6") {
    for (auto& plane : profile.site->planes)
      if (plane.kind == PlaneKind::vxlan) plane.vteps = {*IpAddress::parse("fd00::1")};
    CHECK(added(none) == List{"udp [::]:4789 allowed"});
  }
  SECTION("chrony that serves") {
    const auto tree = with_programs({"/usr/sbin/chronyd"});
    CHECK(added(tree).empty());
    profile.time.serves = {"10.0.0.0/24"};
    CHECK(added(tree) == List{"udp *:123 allowed"});
  }
  SECTION("timesyncd asks from a socket of any free port") {
    const auto tree = with_programs({"/usr/lib/systemd/systemd-timesyncd"});
    CHECK(added(tree).empty());
    profile.time.servers = {"10.10.0.8"};
    CHECK(added(tree) == List{"udp *:32768-65535 allowed"});
  }
}

TEST_CASE("listening: a model server is allowed where the proxy finds it") {
  auto profile = shipped("inference");
  const auto upstream = [&](const char* address, const char* expected) {
    profile.proxy->upstream = {"", IpAddress::parse(address), 9000};
    const auto all = sockets(profile);
    return std::find(all.begin(), all.end(), expected) != all.end();
  };
  CHECK(upstream("::1", "tcp [::1]:9000 allowed"));
  CHECK(upstream("127.0.0.2", "tcp 127.0.0.2:9000 allowed"));
  CHECK_FALSE(upstream("10.30.0.16", "tcp 10.30.0.16:9000 allowed"));  // another node's
  profile.proxy->upstream = {"/run/model", std::nullopt, 0};
  CHECK(sockets(profile) == List{"tcp *:29500-29599 allowed", "tcp 0.0.0.0:443 allowed", "tcp [::]:443 allowed"});
}

TEST_CASE("listening: a profile may allow more, with a reason that ends up in the baseline") {
  Profile profile;
  profile.hardening.relaxed["socket.tcp 127.0.0.1:9400"] = {"allowed", "metrics of the GPUs, for an agent on the node"};
  profile.hardening.relaxed["sysctl.kernel.sysrq"] = {"1", "no socket"};
  const auto settings = render_listening(profile, with_programs({})).settings;
  REQUIRE(settings.size() == 1);
  CHECK(settings[0].name == "tcp 127.0.0.1:9400");
  CHECK(settings[0].value == "allowed");
  CHECK(settings[0].relaxed == "metrics of the GPUs, for an agent on the node");
}

TEST_CASE("NFS: version 4 alone, and nobody beside it") {
  CHECK(render_nfs(with_programs({"/usr/bin/true"})).files.empty());
  const auto part = render_nfs(with_programs({"/usr/sbin/rpc.nfsd", "/usr/lib/systemd/system/rpc-statd.service"}));
  REQUIRE(part.files.size() == 1);
  const auto text = std::string(as_text(part.files[0].content));
  for (const auto* line : {"\nudp=n\n", "\nvers2=n\n", "\nvers3=n\n", "\nvers4.0=n\n"})
    CHECK(text.find(line) != std::string::npos);
  REQUIRE(part.settings.size() == 1);
  CHECK(part.settings[0].name == "rpc-statd.service");
  CHECK(part.settings[0].value == "masked");
}
