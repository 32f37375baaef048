#include "ingot/builder/network.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Profile profile_of(const std::string& name) {
  auto profile = load_profile(INGOT_SOURCE "/profiles/" + name + ".toml");
  if (!profile) FAIL(describe(profile.error()));
  return *std::move(profile);
}

std::string text_of(const ConfigPart& part, const std::string& path) {
  for (const auto& file : part.files)
    if (file.path == path) return std::string(as_text(file.content));
  return {};
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

void put(const TemporaryFolder& folder, const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(folder.path() + path).parent_path());
  REQUIRE(write_file(folder.path() + path, as_bytes(text)));
}
/// What ingot-network is, below a folder that is the node's root.
void put_programs(const TemporaryFolder& folder, const ConfigPart& part) {
  for (const auto& file : part.files)
    if (file.path.starts_with("/usr/lib/ingot/")) put(folder, file.path, as_text(file.content));
}

}  // namespace

TEST_CASE("network: without a site a node is closed and networkd is left alone") {
  Profile profile;
  const auto part = render_network(profile).value();
  CHECK(text_of(part, "/etc/nftables.conf") == closed_ruleset());
  for (const auto& file : part.files) CHECK_FALSE(file.path.starts_with("/etc/systemd/network/"));
  for (const auto& link : part.links) CHECK_FALSE(has(link.path, "networkd"));
}

TEST_CASE("network: a training node's links, VLANs and overlay") {
  const auto part = render_network(profile_of("training")).value();
  const auto fabric = text_of(part, "/etc/systemd/network/20-fabric.network");
  CHECK(has(fabric, "[Match]\nName=fabric\n"));
  CHECK(has(fabric, "VLAN=training\n"));
  CHECK_FALSE(has(fabric, "VLAN=inference\n"));  // another role's
  CHECK(has(fabric, "VXLAN=storage\n"));
  CHECK(has(fabric, "MTUBytes=9000\n"));
  CHECK(has(fabric, "LinkLocalAddressing=no\n"));  // the underlay has no IPv6
  CHECK(has(text_of(part, "/etc/systemd/network/30-training.netdev"), "Kind=vlan\nMTUBytes=9000\n\n[VLAN]\nId=20\n"));
  CHECK(has(text_of(part, "/etc/systemd/network/30-storage.netdev"), "VNI=4000\nDestinationPort=4789\n"));
  CHECK(has(text_of(part, "/etc/systemd/network/30-storage.network"), "LinkLocalAddressing=ipv6\n"));
  CHECK(text_of(part, "/etc/systemd/network/20-edge.network").empty());
  CHECK(has(text_of(part, "/usr/lib/ingot/network/planes"), "overlay storage fabric 10.0.0.16 10.0.0.17"));
  for (const auto& file : part.files)
    if (file.path.ends_with(".network"))
      for (const auto* line : {"IPv6AcceptRA=no\n", "LLMNR=no\n", "MulticastDNS=no\n", "LLDP=no\n", "EmitLLDP=no\n",
                               "IPv4Forwarding=no\n", "IPv6Forwarding=no\n"})
        CHECK(has(std::string(as_text(file.content)), line));
}

TEST_CASE("network: clients are reached through the gateways, and nothing else is") {
  const auto part = render_network(profile_of("inference")).value();
  const auto edge = text_of(part, "/etc/systemd/network/30-public.network");
  CHECK(has(edge, "[Route]\nDestination=0.0.0.0/0\nGateway=10.50.0.1\n"));
  CHECK(has(edge, "[Route]\nDestination=::/0\nGateway=fd00:50::1\n"));
  for (const auto& file : part.files)
    if (file.path != "/etc/systemd/network/30-public.network")
      CHECK_FALSE(has(std::string(as_text(file.content)), "Gateway="));
}

TEST_CASE("network: the firewall comes first, and networkd does not come without it") {
  const auto part = render_network(profile_of("storage")).value();
  const auto firewall = text_of(part, "/etc/systemd/system/nftables.service.d/10-ingot.conf");
  CHECK(has(firewall, "ExecStartPre=/usr/sbin/nft -f /usr/lib/ingot/network/closed.nft\n"));
  CHECK(has(firewall, "ExecStop=\n"));
  CHECK(has(text_of(part, "/etc/systemd/system/systemd-networkd.service.d/10-ingot.conf"),
            "Requires=nftables.service\n"));
  CHECK(std::any_of(part.settings.begin(), part.settings.end(),
                    [](const auto& row) { return row.area == SettingArea::unit && row.name == "nftables.service"; }));
}

TEST_CASE("network: bonds and DHCP") {
  auto profile = profile_of("storage");
  for (auto& plane : profile.site->planes)
    if (plane.name == "management") plane.addressing = Addressing::dhcp;
  profile.links = {{"fabric", "", "", "", "", {"port0", "port1"}, BondMode::lacp},
                   {"mgmt", "52:54:00:12:34:56", "", "", "", {}, BondMode::lacp},
                   {"port0", "", "pci-0000:01:00.0", "", "", {}, BondMode::lacp},
                   {"port1", "", "pci-0000:01:00.1", "", "", {}, BondMode::lacp}};
  const auto part = render_network(profile).value();
  CHECK(has(text_of(part, "/etc/systemd/network/15-fabric.netdev"),
            "Kind=bond\nMTUBytes=9000\n\n[Bond]\nMode=802.3ad\n"));
  CHECK(has(text_of(part, "/etc/systemd/network/10-port1.link"), "Path=pci-0000:01:00.1\n"));
  CHECK(has(text_of(part, "/etc/systemd/network/18-port0.network"), "Bond=fabric\n"));
  CHECK(has(text_of(part, "/etc/systemd/network/10-mgmt.link"), "PermanentMACAddress=52:54:00:12:34:56\n"));
  const auto management = text_of(part, "/etc/systemd/network/30-management.network");
  CHECK(has(management, "DHCP=yes\n"));
  CHECK(has(management, "[Route]\nDestination=fd00:10::/64\nScope=link\n"));
  CHECK_FALSE(has(text_of(part, "/usr/lib/ingot/network/planes"), "plane management"));
  CHECK(has(text_of(part, "/usr/lib/modules-load.d/ingot-network.conf"), "bonding\n"));
}

TEST_CASE("network: a node's own addresses become drop-ins") {
  const auto profile = profile_of("training");
  const auto part = render_network(profile).value();
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  put_programs(folder, part);
  struct Row {
    const char *name, *addresses, *message;
    std::vector<std::pair<const char*, const char*>> files;
  };
  const auto row = GENERATE(values<Row>({
      {"all is well",
       "# ours\nmanagement 10.10.1.7/22\nmanagement fd00:10::1:7/64\nfabric 10.0.0.17/24\n\n",
       "",
       {{"30-management.network.d/ingot-addresses.conf",
         "[Network]\nAddress=10.10.1.7/22\n[Network]\nAddress=fd00:10::1:7/64\n"},
        {"20-fabric.network.d/ingot-addresses.conf", "[Network]\nAddress=10.0.0.17/24\n"},
        {"30-storage.netdev.d/ingot-local.conf", "[VXLAN]\nLocal=10.0.0.17\n"}}},
      {"a plane of others", "inference 10.30.0.16/24\nfabric 10.0.0.17/24\n", "on no plane \"inference\"", {}},
      {"more than an address", "management 10.10.1.7/22 Gateway=1\nfabric 10.0.0.17/24\n", "stands behind", {}},
      {"a path for an address", "management ../../x/1\nfabric 10.0.0.17/24\n", "is not ADDRESS/LENGTH", {}},
      {"no length", "management 10.10.1.7\nfabric 10.0.0.17/24\n", "has no length", {}},
      {"no VTEP", "fabric 10.0.0.31/24\n", "is a VTEP of storage", {}},
  }));
  INFO(row.name);
  put(folder, "/var/lib/ingot/network/addresses", row.addresses);
  const auto done = run({{"sh", folder.path() + "/usr/lib/ingot/ingot-network", folder.path()}});
  REQUIRE(done);
  CHECK(done->exit_code == (*row.message == '\0' ? 0 : 1));
  CHECK(has(done->error_tail, row.message));
  for (const auto& [path, text] : row.files)
    CHECK(std::string(as_text(read_file(folder.path() + "/run/systemd/network/" + path, 1u << 16).value())) == text);
  if (!row.files.empty()) {
    const auto peers = std::string(as_text(
        read_file(folder.path() + "/run/systemd/network/30-storage.network.d/ingot-peers.conf", 1u << 16).value()));
    CHECK(has(peers, "Destination=10.0.0.16\n"));
    CHECK_FALSE(has(peers, "Destination=10.0.0.17\n"));
  }
}

TEST_CASE("network: where nobody can write to the node's state, its addresses are handed over on a partition") {
  const auto profile = profile_of("training");
  REQUIRE(has_address_partition(profile));
  const auto part = render_network(profile).value();
  const auto unit = text_of(part, "/usr/lib/systemd/system/ingot-network.service");
  CHECK(has(unit, "\nDeviceAllow=/dev/disk/by-partlabel/addresses r\n"));
  CHECK(has(unit, "\nAfter=dev-disk-by\\x2dpartlabel-addresses.device\n"));
  const auto folder = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
  put_programs(folder, part);
  const auto told = [&] {
    return run({{"sh", folder.path() + "/usr/lib/ingot/ingot-network", folder.path()}}).value();
  };
  const auto fabric = [&] {
    const auto path = folder.path() + "/run/systemd/network/20-fabric.network.d/ingot-addresses.conf";
    return std::string(as_text(read_file(path, 1u << 16).value()));
  };
  const std::string partition = "/dev/disk/by-partlabel/addresses", zeroes(address_partition_bytes, '\0');
  put(folder, partition, zeroes);
  CHECK(told().exit_code == 1);
  CHECK(has(told().error_tail, "no addresses of this node"));
  const std::string text = "fabric 10.0.0.17/24\n";
  put(folder, partition, text + zeroes.substr(text.size()));
  CHECK(told().exit_code == 0);
  CHECK(fabric() == "[Network]\nAddress=10.0.0.17/24\n");
  put(folder, "/var/lib/ingot/network/addresses", "fabric 10.0.0.18/24\n");  // the node's own state is first
  CHECK(told().exit_code == 0);
  CHECK(fabric() == "[Network]\nAddress=10.0.0.18/24\n");

  auto others = profile;
  others.volumes.clear();
  CHECK_FALSE(has_address_partition(others));
  CHECK_FALSE(
      has(text_of(render_network(others).value(), "/usr/lib/systemd/system/ingot-network.service"), "by-partlabel"));
  others = profile;
  for (auto& plane : others.site->planes) plane.addressing = Addressing::dhcp;
  CHECK_FALSE(has_address_partition(others));
}
