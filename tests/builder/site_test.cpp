#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Site must(Result<Site> site) {
  if (!site) FAIL(describe(site.error()));
  return *std::move(site);
}

}  // namespace

TEST_CASE("the shipped site") {
  const auto site = must(load_site(INGOT_SOURCE "/profiles/site.toml"));
  CHECK(site.bastion == "management");
  CHECK(site.planes.size() == 7);
  CHECK(site.roles.size() == 4);
  CHECK(site.flows.back().name == "rdma-training");
  const auto* storage = site.plane("storage");
  REQUIRE(storage != nullptr);
  CHECK(storage->kind == PlaneKind::vxlan);
  CHECK(storage->port == 4789);
  CHECK(storage->vteps.size() == 6);
  CHECK(interface_name(*storage) == "storage");
  CHECK(interface_name(*site.plane("fabric")) == "fabric");
  // Clients are everybody but nodes, other planes and addresses that nobody has.
  const auto clients = addresses_on(site, "clients", "public");
  const auto is_client = [&](const char* text) {
    return std::any_of(clients.begin(), clients.end(),
                       [&](const IpRange& range) { return range.contains(*IpAddress::parse(text)); });
  };
  for (const auto* text : {"198.51.100.7", "10.50.0.1", "10.0.1.0", "2001:db8::1", "fd00:50::1"})
    CHECK(is_client(text));
  for (const auto* text : {"10.50.0.20", "10.40.0.50", "10.10.0.9", "127.0.0.1", "fd00:10::8", "fe80::1", "::1"})
    CHECK_FALSE(is_client(text));
  CHECK(addresses_on(site, "clients", "management").empty());
}

namespace {

/// Two roles, a bastion that is the collector, and a zone: valid as it stands. Rows change one line of it.
const std::string small = R"(bastion = "hub"
collector = "hub"
[planes.mgmt]
kind = "vlan"
vlan = 10
link = "nic"
subnets = ["10.1.0.0/24", "fd00:1::/64"]
[planes.under]
kind = "plain"
link = "nic"
mtu = 9000
subnets = ["10.2.0.0/24"]
[planes.over]
kind = "vxlan"
vni = 77
underlay = "under"
mtu = 8950
subnets = ["10.3.0.0/24"]
vteps = ["10.2.0.1", "10.2.0.2"]
[planes.front]
kind = "vlan"
vlan = 20
link = "edge"
subnets = ["10.4.0.0/24", "fd00:4::/64"]
gateways = ["10.4.0.254"]
[roles.hub.planes]
mgmt = ["10.1.0.1", "fd00:1::1"]
front = ["10.4.0.1"]
[roles.work.planes]
mgmt = ["10.1.0.16/28", "fd00:1::10-fd00:1::1f"]
under = ["10.2.0.1-10.2.0.9"]
over = ["10.3.0.1-10.3.0.9"]
[zones.people]
plane = "front"
[[flows]]
name = "login"
from = ["people"]
to = ["hub"]
plane = "front"
ports = ["tcp/22"]
why = "people log in"
[[flows]]
name = "ssh"
from = ["hub"]
to = ["work"]
plane = "mgmt"
ports = ["tcp/22", "icmp"]
why = "onward"
[[flows]]
name = "logs"
from = ["work"]
to = ["hub"]
plane = "mgmt"
ports = ["tcp/19532"]
why = "records"
[[flows]]
name = "peers"
from = ["work"]
to = ["work"]
plane = "over"
ports = ["tcp/5000-5010", "udp/5000"]
why = "work"
[[policies]]
name = "closed"
kind = "never"
from = ["people"]
to = ["work"]
why = "no way in"
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) FAIL("the row's text is not there: " << from);
  return text.replace(at, from.size(), to);
}

/// The text from a place on.
std::string at_place(const std::string& text, const TextLocation& at) {
  std::size_t start = 0;
  for (std::uint32_t line = 1; line < at.line; ++line) start = text.find('\n', start) + 1;
  return text.substr(start + at.column - 1);
}

Result<Site> load_text(const std::string& text) {
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  REQUIRE(write_file(folder.path() + "/site.toml", as_bytes(text)));
  return load_site(folder.path() + "/site.toml");
}

const std::string flow = "[[flows]]\nname = \"more\"\nwhy = \"x\"\n";
const std::string policy = "[[policies]]\nname = \"more\"\nwhy = \"x\"\n";

}  // namespace

TEST_CASE("site: what makes no sense is refused with its place and a way out") {
  struct Row {
    const char* name;
    std::string from, to;  ///< the part of `small` that is replaced; empty: `to` is added at the end
    const char* at;        ///< what stands at the place that is told
    const char *message, *remedy;
  };
  const auto row = GENERATE(values<Row>({
      {"an unknown key", "bastion =", "bastian =", "bastian", "unknown key \"bastian\"", "did you mean \"bastion\""},
      {"an unknown key of a plane", "vni = 77", "vnl = 77", "vnl", "unknown key \"vnl\" in [planes.over]", "\"vni\""},
      {"an unknown kind", "kind = \"vxlan\"", "kind = \"vxlam\"", "\"vxlam\"", "expected one of", "\"vxlan\""},
      {"a plane whose name is too long", "[planes.mgmt]", "[planes.management-plane]", "management-plane]", "up to 15",
       ""},
      {"overlapping subnets of two planes", "[\"10.3.0.0/24\"]", "[\"10.1.0.0/16\"]", "\"10.1.0.0/16\"",
       "overlaps 10.1.0.0/24 of mgmt", "one plane"},
      {"overlapping subnets of one plane", "[\"10.3.0.0/24\"]", "[\"10.3.0.0/24\", \"10.3.0.0/25\"]", "\"10.3.0.0/25\"",
       "overlap", ""},
      {"a subnet with host bits", "\"10.3.0.0/24\"", "\"10.3.0.1/24\"", "\"10.3.0.1/24\"", "not a subnet",
       "no host bits"},
      {"a loopback subnet", "\"10.3.0.0/24\"", "\"127.0.0.0/24\"", "\"127.0.0.0/24\"", "loopback", ""},
      {"a link-local subnet", "\"fd00:1::/64\"", "\"fe80::/64\"", "\"fe80::/64\"", "link-local", ""},
      {"a VLAN id twice", "vlan = 20", "vlan = 10", "10\nlink = \"edge\"", "the same vlan 10", "one network"},
      {"a VLAN id out of range", "vlan = 20", "vlan = 4095", "4095", "expected 1 to 4094", ""},
      {"a VNI twice", "[planes.front]",
       "[planes.over2]\nkind = \"vxlan\"\nvni = 77\nunderlay = \"under\"\nmtu = 1500\n"
       "subnets = [\"10.9.0.0/24\"]\nvteps = [\"10.2.0.1\", \"10.2.0.2\"]\n[planes.front]",
       "77\nunderlay = \"under\"\nmtu = 1500", "the same vni 77", ""},
      {"a VTEP outside of the underlay", "\"10.2.0.2\"]", "\"10.1.0.2\"]", "\"10.1.0.2\"]", "no subnet of its underlay",
       "underlay"},
      {"a VTEP that is nobody's", "\"10.2.0.2\"]", "\"10.2.0.2\", \"10.2.0.99\"]", "over]\nkind",
       "no address of a role", "take it out"},
      {"one VTEP", "\"10.2.0.1\", \"10.2.0.2\"]", "\"10.2.0.1\"]", "[planes.over]", "1 VTEPs", "vteps ="},
      {"an MTU too large for the underlay", "mtu = 8950", "mtu = 8951", "mtu = 8951", "exceed the mtu 9000",
       "at most 8950"},
      {"an underlay that is no plane", "underlay = \"under\"", "underlay = \"unter\"", "underlay = \"unter\"",
       "no plane", "\"under\""},
      {"an underlay that is an overlay", "underlay = \"under\"", "underlay = \"over\"", "underlay = \"over\"",
       "vxlan itself", ""},
      {"a link for a vxlan", "vni = 77", "vni = 77\nlink = \"nic\"", "link = \"nic\"\nunderlay",
       "rides on its underlay", ""},
      {"two plain planes on a link", "kind = \"vlan\"\nvlan = 10", "kind = \"plain\"", "link = \"nic\"\nmtu",
       "both are plain", "vlan"},
      {"a plane named after a link", "link = \"edge\"", "link = \"mgmt\"", "mgmt]\nkind", "the name of a link", ""},
      {"a gateway outside", "[\"10.4.0.254\"]", "[\"10.5.0.254\"]", "\"10.5.0.254\"", "no subnet of front", ""},
      {"two gateways of one family", "[\"10.4.0.254\"]", "[\"10.4.0.254\", \"10.4.0.253\"]", "\"10.4.0.253\"",
       "two gateways", ""},
      {"a role on an unknown plane", "over = [\"10.3", "ower = [\"10.3", "ower", "does not have", "\"over\""},
      {"an address outside of the plane", "[\"10.4.0.1\"]", "[\"10.5.0.1\"]", "\"10.5.0.1\"",
       "does not lie in a subnet", ""},
      {"an address of a family that the plane has not", "[\"10.3.0.1-10.3.0.9\"]", "[\"fd00:3::1\"]", "\"fd00:3::1\"",
       "has no IPv6 subnet", ""},
      {"a range of both families", "\"10.3.0.1-10.3.0.9\"", "\"10.3.0.1-fd00::9\"", "\"10.3.0.1-fd00::9\"",
       "of one family", ""},
      {"addresses of two roles", "\"10.1.0.16/28\"", "\"10.1.0.0/27\"", "\"10.1.0.0/27\"", "overlaps 10.1.0.1 of hub",
       "of its own"},
      {"the gateway's address", "[\"10.4.0.1\"]", "[\"10.4.0.254\"]", "\"10.4.0.254\"]\n[roles.work", "has the gateway",
       ""},
      {"an overlay without its underlay", "under = [\"10.2.0.1-10.2.0.9\"]\n", "", "over = [\"10.3",
       "not on its underlay under", "add under"},
      {"an overlay without a VTEP", "[\"10.2.0.1-10.2.0.9\"]", "[\"10.2.0.3-10.2.0.9\"]", "over = [\"10.3",
       "none of the VTEPs", "vteps"},
      {"a zone behind a plane without a gateway", "plane = \"front\"\n[[",
       "plane = \"front\"\naddresses = [\"2001:db8::/32\"]\n[[", "\"2001:db8::/32\"", "no IPv6 gateway", "gateways"},
      {"a zone that is a role", "[zones.people]", "[zones.hub]", "hub]\nplane", "a role and a zone", ""},
      {"a zone that is nodes only", "plane = \"front\"\n[[", "plane = \"front\"\naddresses = [\"10.4.0.1/32\"]\n[[",
       "people]", "nodes' or other planes'", ""},
      {"a flow over an unknown plane", "plane = \"over\"", "plane = \"ove\"", "plane = \"ove\"", "no plane",
       "did you mean"},
      {"a flow from an unknown role", "from = [\"people\"]\nto = [\"hub\"]", "from = [\"peeple\"]\nto = [\"hub\"]",
       "\"peeple\"", "neither a role nor a zone", "\"people\""},
      {"a flow whose ends do not share the plane", "",
       flow + "from = [\"hub\"]\nto = [\"work\"]\nplane = \"over\"\nports = [\"tcp/1\"]\n",
       "[[flows]]\nname = \"more\"", "hub is not on it", "hub is on \"mgmt\", \"front\""},
      {"a flow between zones", "",
       flow + "from = [\"people\"]\nto = [\"people\"]\nplane = \"front\"\nports = [\"tcp/1\"]\n",
       "[[flows]]\nname = \"more\"", "between two zones", ""},
      {"a flow between families",
       "mgmt = [\"10.1.0.1\", \"fd00:1::1\"]\nfront = [\"10.4.0.1\"]\n[roles.work.planes]\nmgmt = [\"10.1.0.16/28\", "
       "\"fd00:1::10-fd00:1::1f\"]",
       "mgmt = [\"fd00:1::1\"]\nfront = [\"10.4.0.1\"]\n[roles.work.planes]\nmgmt = [\"10.1.0.16/28\"]",
       "[[flows]]\nname = \"ssh\"", "one has IPv4 addresses only", "one family"},
      {"a flow without a reason", "why = \"onward\"\n", "", "[[flows]]\nname = \"ssh\"", "has no why", "add why"},
      {"a flow without ports", "ports = [\"tcp/19532\"]\n", "", "[[flows]]\nname = \"logs\"", "has no ports", ""},
      {"a port that is none", "\"tcp/19532\"", "\"tcp/0\"", "\"tcp/0\"", "is not a port", "udp/5000-5010"},
      {"a port range that runs backwards", "\"tcp/5000-5010\"", "\"tcp/5010-5000\"", "\"tcp/5010-5000\"",
       "is not a port", ""},
      {"a port twice", "\"udp/5000\"]", "\"tcp/5005\"]", "\"tcp/5005\"]", "overlaps tcp/5000-5010", ""},
      {"a flow that opens VXLAN", "",
       flow + "from = [\"work\"]\nto = [\"work\"]\nplane = \"under\"\nports = [\"udp/4000-5000\"]\n",
       "[[flows]]\nname = \"more\"", "the underlay of over", "VTEPs"},
      {"two flows of one name", "name = \"peers\"", "name = \"ssh\"", "name = \"ssh\"\nfrom = [\"work\"]", "two flows",
       ""},
      {"a policy of an unknown kind", "kind = \"never\"", "kind = \"newer\"", "\"newer\"", "expected one of",
       "\"never\""},
      {"a policy with a key of another kind", "kind = \"never\"", "kind = \"never\"\nthrough = [\"hub\"]", "through",
       "means nothing there", ""},
      {"a policy without what it needs", "kind = \"never\"\nfrom = [\"people\"]", "kind = \"never\"", "[[policies]]",
       "has no from", ""},
      {"a flow that never may be", "from = [\"people\"]\nto = [\"work\"]", "from = [\"hub\"]\nto = [\"work\"]",
       "[[flows]]\nname = \"ssh\"", "lets hub reach work over mgmt (tcp/22), and the policy closed",
       "take one of them back"},
      {"a flow from others than only-from", "",
       policy + "kind = \"only-from\"\nfrom = [\"hub\"]\nto = [\"work\"]\nports = [\"tcp/5005\"]\n",
       "[[flows]]\nname = \"peers\"", "of kind only-from", ""},
      {"a flow past only-through", "",
       policy + "kind = \"only-through\"\nthrough = [\"hub\"]\nto = [\"work\"]\nports = [\"udp/5000\"]\n",
       "[[flows]]\nname = \"peers\"", "of kind only-through", ""},
      {"always without a flow", "",
       policy + "kind = \"always\"\nfrom = [\"work\"]\nto = [\"hub\"]\nports = [\"udp/123\"]\n",
       "[[policies]]\nname = \"more\"", "no flow lets it", "add a flow"},
      {"an isolated plane with a stranger", "", policy + "kind = \"isolated\"\nplane = \"mgmt\"\nto = [\"hub\"]\n",
       "[[flows]]\nname = \"ssh\"", "of kind isolated", ""},
      {"SSH and no bastion", "bastion = \"hub\"\n", "", "[[flows]]\nname = \"login\"", "opens SSH to hub", ""},
      {"SSH and no way in", "ports = [\"tcp/22\", \"icmp\"]", "ports = [\"icmp\"]", "work.planes",
       "no flow lets the bastion in", "ssh = false"},
      {"a bastion without a way in", "ports = [\"tcp/22\"]\nwhy = \"people", "ports = [\"tcp/23\"]\nwhy = \"people",
       "hub.planes", "no flow lets a zone in", "from a zone"},
      {"SSH from elsewhere", "\"tcp/5000-5010\"", "\"tcp/22\"", "[[flows]]\nname = \"peers\"",
       "opens SSH to work from work", "from the bastion only"},
      {"SSH to a role without it", "[roles.work.planes]", "[roles.work]\nssh = false\n[roles.work.planes]",
       "[[flows]]\nname = \"ssh\"", "ssh = false", ""},
      {"no collector", "collector = \"hub\"\n", "", "bastion", "no collector", "collector ="},
      {"a collector that is no role", "collector = \"hub\"", "collector = \"hob\"", "\"hob\"", "no role of this site",
       "\"hub\""},
      {"logs without a way", "\"tcp/19532\"", "\"tcp/19533\"", "work.planes", "deliver its logs", "flow"},
      {"time without a way", "collector =", "time = \"hub\"\ncollector =", "work.planes", "for the time", "flow"},
      {"DHCP without a way", "vlan = 20\n", "vlan = 20\naddressing = \"dhcp\"\n", "front]\nkind",
       "ask for them (udp/67)", "flow"},
  }));
  INFO(row.name);
  const auto text = row.from.empty() ? small + row.to : with(small, row.from, row.to);
  const auto site = load_text(text);
  REQUIRE_FALSE(site);
  const auto& error = site.error();
  INFO(describe(error));
  CHECK(error.code == ErrorCode::malformed);
  CHECK(error.message.find(row.message) != std::string::npos);
  CHECK(error.remedy.find(row.remedy) != std::string::npos);
  REQUIRE(error.at);
  CHECK(error.at->file.ends_with("/site.toml"));
  CHECK(at_place(text, *error.at).starts_with(row.at));
}

TEST_CASE("site: the small one is valid") {
  const auto site = must(load_text(small));
  CHECK(site.planes.size() == 4);
  CHECK(site.plane("over")->mtu == 8950);
  CHECK(site.plane("mgmt")->mtu == 1500);
}

namespace {

/// A profile of the role "work" in a folder that has the small site.
const std::string worker = R"(name = "n"
version = 1
role = "work"
site = "site.toml"
[base]
packages = ["systemd"]
[network.links.nic]
path = "pci-0000:00:02.0"
)";
/// The same with a proxy, on the plane where the bastion reaches it.
const std::string proxied = worker + R"([proxy]
plane = "mgmt"
server_name = "model.example"
upstream = "127.0.0.1:8000"
port = 22
)";

}  // namespace

TEST_CASE("site: a profile that does not fit into its site is refused with its place and a way out") {
  struct Row {
    const char* name;
    std::string site, profile;
    std::string at;  ///< what stands at the place that is told
    const char *message, *remedy;
  };
  const auto row = GENERATE(values<Row>({
      {"no such site", small, with(worker, "site.toml", "sight.toml"), "\"sight.toml\"", "site", ""},
      {"a role that the site does not have", small, with(worker, "\"work\"", "\"worc\""), "role = \"worc\"",
       "is not one of", "\"work\""},
      {"a link that nobody describes", small, with(worker, "links.nic", "links.nik"), "role = \"work\"",
       "which card is its link nic", "[network.links.nic]"},
      {"a link without a match", small, with(worker, "path = \"pci-0000:00:02.0\"", ""), "nic]",
       "neither a match nor members", "mac, path"},
      {"an unknown key of a link", small, with(worker, "path =", "patch ="), "patch", "unknown key", "\"path\""},
      {"a MAC in capitals", small, with(worker, "path = \"pci-0000:00:02.0\"", "mac = \"52:54:00:AB:00:01\""),
       "\"52:54:00:AB:00:01\"", "mac is", ""},
      {"a match with a line break", small, with(worker, "pci-0000:00:02.0", "a\\nb"), "\"a\\nb\"", "path is", ""},
      {"a bond of nobody", small, with(worker, "path = \"pci-0000:00:02.0\"", "bond = [\"a\", \"b\"]"), "nic]",
       "which is no link", "[network.links.a]"},
      {"a bond of one", small, with(worker, "path = \"pci-0000:00:02.0\"", "bond = [\"a\"]"), "bond", "two members",
       ""},
      {"a mode without a bond", small, worker + "mode = \"802.3ad\"\n", "\"802.3ad\"", "is no bond", ""},
      {"an unknown key of the proxy", small, proxied + "rat = 1\n", "rat", "unknown key", "\"rate\""},
      {"a proxy on a plane of others", small, with(proxied, "plane = \"mgmt\"", "plane = \"front\""), "\"front\"",
       "the role work is on", ""},
      {"a proxy that nobody reaches", small, with(proxied, "port = 22", "port = 443"), "\"mgmt\"",
       "no flow lets anybody reach the proxy", "site.toml"},
      {"a proxy without an upstream", small, with(proxied, "upstream = \"127.0.0.1:8000\"\n", ""), "[proxy]",
       "has no upstream", "add upstream"},
      {"an upstream that is a name", small, with(proxied, "127.0.0.1:8000", "localhost:8000"), "\"localhost:8000\"",
       "expected an address", "127.0.0.1"},
      {"an upstream that is nobody's", small, with(proxied, "127.0.0.1:8000", "192.0.2.1:8000"), "\"192.0.2.1:8000\"",
       "no node of the site", "loopback"},
      {"an upstream that no flow reaches", small, with(proxied, "127.0.0.1:8000", "10.1.0.1:8000"), "\"10.1.0.1:8000\"",
       "no flow lets work reach its upstream", "site.toml"},
      {"a model server that is reached without the proxy", with(small, "\"tcp/5000-5010\"", "\"tcp/8000\""), proxied,
       "[[flows]]\nname = \"peers\"", "reach the model server of work (tcp/8000) without its proxy",
       "take the port out"},
      {"a server name with a brace", small, with(proxied, "model.example", "x; }"), "\"x; }\"", "server_name", ""},
      {"a body without a limit", small, proxied + "body_size = 0\n", "0\n", "body_size is 0", ""},
      {"a proxy without a site", small,
       with(with(proxied, "site = \"site.toml\"\n", ""), "[network.links.nic]\npath = \"pci-0000:00:02.0\"\n", ""),
       "[proxy]", "no site", "add site"},
  }));
  INFO(row.name);
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  REQUIRE(write_file(folder.path() + "/site.toml", as_bytes(row.site)));
  REQUIRE(write_file(folder.path() + "/p.toml", as_bytes(row.profile)));
  const auto profile = load_profile(folder.path() + "/p.toml");
  REQUIRE_FALSE(profile);
  const auto& error = profile.error();
  INFO(describe(error));
  CHECK(error.code == ErrorCode::malformed);
  CHECK(error.message.find(row.message) != std::string::npos);
  CHECK(error.remedy.find(row.remedy) != std::string::npos);
  REQUIRE(error.at);
  CHECK(at_place(error.at->file.ends_with("/p.toml") ? row.profile : row.site, *error.at).starts_with(row.at));
}

TEST_CASE("site: profiles that fit") {
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  REQUIRE(write_file(folder.path() + "/site.toml", as_bytes(small)));
  REQUIRE(write_file(folder.path() + "/p.toml", as_bytes(proxied)));
  const auto profile = load_profile(folder.path() + "/p.toml");
  if (!profile) FAIL(describe(profile.error()));
  CHECK(profile->site_role()->name == "work");
  CHECK(profile->proxy->upstream.port == 8000);
  CHECK(profile->links.size() == 1);
  CHECK(profile->sources.back() == folder.path() + "/site.toml");
  for (const auto* name : {"training", "inference", "storage", "management"}) {
    const auto shipped = load_profile(INGOT_SOURCE "/profiles/" + std::string(name) + ".toml");
    if (!shipped) FAIL(describe(shipped.error()));
    CHECK(shipped->site_role()->name == name);
  }
}
