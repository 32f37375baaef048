#include <fmt/format.h>

#include <algorithm>

#include "ingot/builder/network.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view unit_folder = "/etc/systemd/network/";

ExtraFile text_file(std::string path, std::string_view text, unsigned mode = 0644) {
  return {std::move(path), to_buffer(as_bytes(text)), mode};
}

bool has_ipv6(const SitePlane& plane) {
  return std::any_of(plane.subnets.begin(), plane.subnets.end(),
                     [](const auto& subnet) { return subnet.family() == IpFamily::v6; });
}

/// Nothing is learnt from the network and nothing told to it that the site does not say (systemd.network(5)).
std::string quiet(bool link_local_ipv6) {
  return fmt::format(
      "LinkLocalAddressing={}\nIPv6AcceptRA=no\nIPv6SendRA=no\nIPv4Forwarding=no\nIPv6Forwarding=no\nLLMNR=no\n"
      "MulticastDNS=no\nLLDP=no\nEmitLLDP=no\nIPv6PrivacyExtensions=no\n",
      link_local_ipv6 ? "ipv6" : "no");
}

std::string head(std::string_view what) {
  return fmt::format("# {}, made from the site. See systemd.network(5).\n", what);
}

/// The role's planes that ride on a link, and the one that is the link itself, if any.
struct Carried {
  std::vector<const SitePlane*> vlans;
  const SitePlane* plain = nullptr;
  unsigned mtu = 0;  ///< the largest of them
};

Carried carried_by(const Site& site, const SiteRole& role, const std::string& link) {
  Carried out;
  for (const auto& plane : site.planes) {
    if (plane.link != link || role.on(plane.name) == nullptr) continue;
    out.mtu = std::max(out.mtu, plane.mtu);
    if (plane.kind == PlaneKind::plain)
      out.plain = &plane;
    else
      out.vlans.push_back(&plane);
  }
  return out;
}

std::string dhcp_sections(const SitePlane& plane) {
  if (plane.addressing != Addressing::dhcp) return {};
  std::string out =
      "\n[DHCPv4]\nClientIdentifier=mac\nSendHostname=no\nUseDNS=no\nUseNTP=no\nUseSIP=no\nUseDomains=no\n"
      "UseHostname=no\nUseRoutes=no\nUseGateway=no\nUseTimezone=no\nUseMTU=no\n";
  if (has_ipv6(plane))
    out +=
        "\n[DHCPv6]\nWithoutRA=solicit\nSendHostname=no\nUseDNS=no\nUseNTP=no\nUseDomains=no\nUseHostname=no\n"
        "UseDelegatedPrefix=no\n";
  // A DHCPv6 address is one of 128 bits: who else is on the link, a router would say, and none is asked.
  for (const auto& subnet : plane.subnets)
    if (subnet.family() == IpFamily::v6) out += fmt::format("\n[Route]\nDestination={}\nScope=link\n", to_text(subnet));
  return out;
}

/// To zones that lie behind the plane's gateways. There is no other route: planes meet in no node.
std::string gateway_routes(const Site& site, const SitePlane& plane) {
  std::string out;
  for (const auto& zone : site.zones) {
    if (zone.plane != plane.name) continue;
    for (const auto& prefix : zone.addresses) {
      const bool is_near = std::any_of(plane.subnets.begin(), plane.subnets.end(),
                                       [&](const auto& subnet) { return subnet.contains(prefix); });
      for (const auto& gateway : plane.gateways)
        if (!is_near && gateway.family == prefix.family())
          out += fmt::format("\n[Route]\nDestination={}\nGateway={}\n", to_text(prefix), to_text(gateway));
    }
  }
  return out;
}

std::string_view dhcp_value(const SitePlane& plane) {
  if (plane.addressing != Addressing::dhcp) return "no";
  const bool has_ipv4 = std::any_of(plane.subnets.begin(), plane.subnets.end(),
                                    [](const auto& subnet) { return subnet.family() == IpFamily::v4; });
  if (!has_ipv6(plane)) return "ipv4";
  return has_ipv4 ? "yes" : "ipv6";
}

/// [Network] of an interface that carries a plane itself; `more` are further lines of that section.
std::string plane_sections(const Site& site, const SiteRole& role, const SitePlane& plane, std::string more) {
  for (const auto& overlay : site.planes)
    if (overlay.underlay == plane.name && role.on(overlay.name) != nullptr)
      more += fmt::format("VXLAN={}\n", overlay.name);
  return fmt::format("\n[Network]\nDHCP={}\n{}{}{}{}", dhcp_value(plane), quiet(has_ipv6(plane)), more,
                     gateway_routes(site, plane), dhcp_sections(plane));
}

ExtraFile rename_file(const NetworkLink& link) {
  std::string match;
  // The permanent address: a VLAN has the same one as its link, but not for good.
  if (!link.mac.empty()) match += fmt::format("PermanentMACAddress={}\n", link.mac);
  if (!link.path.empty()) match += fmt::format("Path={}\n", link.path);
  if (!link.driver.empty()) match += fmt::format("Driver={}\n", link.driver);
  if (!link.kernel.empty()) match += fmt::format("OriginalName={}\n", link.kernel);
  return text_file(fmt::format("{}10-{}.link", unit_folder, link.name),
                   fmt::format("{}[Match]\nType=ether\n{}\n[Link]\nName={}\n",
                               head(fmt::format("Which card is {}", link.name)), match, link.name));
}

void add_bond(std::vector<ExtraFile>& files, const Profile& profile, const NetworkLink& bond, unsigned mtu) {
  const std::string mode = bond.mode == BondMode::lacp
                               ? "Mode=802.3ad\nTransmitHashPolicy=layer3+4\nLACPTransmitRate=fast\n"
                               : "Mode=active-backup\nGratuitousARP=3\n";
  files.push_back(
      text_file(fmt::format("{}15-{}.netdev", unit_folder, bond.name),
                fmt::format("{}[NetDev]\nName={}\nKind=bond\nMTUBytes={}\n\n[Bond]\n{}MIIMonitorSec=100ms\n",
                            head(fmt::format("The bond {}", bond.name)), bond.name, mtu, mode)));
  for (const auto& link : profile.links) {
    if (std::find(bond.bond.begin(), bond.bond.end(), link.name) == bond.bond.end()) continue;
    files.push_back(rename_file(link));
    files.push_back(text_file(
        fmt::format("{}18-{}.network", unit_folder, link.name),
        fmt::format("{}[Match]\nName={}\n\n[Link]\nMTUBytes={}\n\n[Network]\nBond={}\n{}",
                    head(fmt::format("A member of {}", bond.name)), link.name, mtu, bond.name, quiet(false))));
  }
}

void add_link(std::vector<ExtraFile>& files, const Profile& profile, const SiteRole& role, const NetworkLink& link) {
  const auto& site = *profile.site;
  const auto carried = carried_by(site, role, link.name);
  if (carried.mtu == 0) return;
  if (link.bond.empty())
    files.push_back(rename_file(link));
  else
    add_bond(files, profile, link, carried.mtu);
  std::string vlans;
  for (const auto* plane : carried.vlans) vlans += fmt::format("VLAN={}\n", plane->name);
  const auto network = carried.plain != nullptr ? plane_sections(site, role, *carried.plain, vlans)
                                                : fmt::format("\n[Network]\nDHCP=no\n{}{}", quiet(false), vlans);
  files.push_back(text_file(fmt::format("{}20-{}.network", unit_folder, link.name),
                            fmt::format("{}[Match]\nName={}\n\n[Link]\nMTUBytes={}\n{}",
                                        head(fmt::format("The link {}", link.name)), link.name, carried.mtu, network)));
}

void add_virtual(std::vector<ExtraFile>& files, const Site& site, const SiteRole& role, const SitePlane& plane) {
  const bool is_vlan = plane.kind == PlaneKind::vlan;
  // Peers and the device's own address differ from node to node: ingot-network adds them.
  const auto kind = is_vlan
                        ? fmt::format("[VLAN]\nId={}\n", plane.id)
                        : fmt::format("[VXLAN]\nVNI={}\nDestinationPort={}\nMacLearning=yes\n", plane.id, plane.port);
  files.push_back(text_file(
      fmt::format("{}30-{}.netdev", unit_folder, plane.name),
      fmt::format("{}[NetDev]\nName={}\nKind={}\nMTUBytes={}\n\n{}", head(fmt::format("The plane {}", plane.name)),
                  plane.name, is_vlan ? "vlan" : "vxlan", plane.mtu, kind)));
  files.push_back(text_file(
      fmt::format("{}30-{}.network", unit_folder, plane.name),
      fmt::format("{}[Match]\nName={}\n\n[Link]\nMTUBytes={}\n{}", head(fmt::format("The plane {}", plane.name)),
                  plane.name, plane.mtu, plane_sections(site, role, plane, ""))));
}

}  // namespace

std::vector<ExtraFile> networkd_files(const Profile& profile) {
  std::vector<ExtraFile> files;
  const auto* role = profile.site_role();
  if (role == nullptr) return files;
  for (const auto& link : profile.links) add_link(files, profile, *role, link);
  for (const auto& plane : profile.site->planes)
    if (plane.kind != PlaneKind::plain && role->on(plane.name) != nullptr)
      add_virtual(files, *profile.site, *role, plane);
  return files;
}

}  // namespace ingot::builder
