#include <fmt/format.h>

#include <algorithm>

#include "ingot/builder/segment.hpp"

namespace ingot::builder {
namespace {

using check::Service;

constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, icmpv6 = 58;

std::vector<Service> services_of(const std::vector<FlowPort>& ports) {
  std::vector<Service> out;
  for (const auto& port : ports) switch (port.protocol) {
      case FlowProtocol::tcp:
        out.push_back({tcp, port.first, port.last});
        break;
      case FlowProtocol::udp:
        out.push_back({udp, port.first, port.last});
        break;
      case FlowProtocol::icmp:  // echo requests
        out.push_back({icmp, 8, 8});
        out.push_back({icmpv6, 128, 128});
        break;
    }
  return out;
}

check::Interface interface_of(const Site& site, const SiteRole& role, const SiteMember& member) {
  const auto& plane = *site.plane(member.plane);
  check::Interface out;
  out.name = interface_name(plane);
  out.segment = plane.name;
  out.addresses = member.addresses;
  for (const auto& subnet : plane.subnets) out.routes.push_back(IpRange::of(subnet));
  for (const auto& gateway : plane.gateways) out.routes.push_back(IpRange::of(IpPrefix::all(gateway.family)));
  if (plane.kind != PlaneKind::vxlan) return out;
  check::Interface::Vxlan vxlan{interface_name(*site.plane(plane.underlay)), plane.port, plane.id, {}};
  const auto* below = role.on(plane.underlay);
  for (const auto& vtep : plane.vteps)
    if (below != nullptr && std::any_of(below->addresses.begin(), below->addresses.end(),
                                        [&](const auto& range) { return range.contains(vtep); }))
      vxlan.vteps.push_back({vtep, vtep});
  out.vxlan = std::move(vxlan);
  return out;
}

/// Whoever is on a plane, or gets packets into it, without being a role's node or a zone of it.
check::Host outsider_of(const Site& site, const SitePlane& plane) {
  check::Interface one;
  one.name = one.segment = plane.name;
  for (const auto family : {IpFamily::v4, IpFamily::v6}) one.addresses.push_back(IpRange::of(IpPrefix::all(family)));
  for (const auto& role : site.roles)
    for (const auto& range : addresses_on(site, role.name, plane.name)) one.except.push_back(range);
  for (const auto& zone : site.zones)
    for (const auto& range : addresses_on(site, zone.name, plane.name)) one.except.push_back(range);
  return {fmt::format("anybody else on {}", plane.name), {one}, false, std::nullopt};
}

std::vector<std::string> all_but(const std::vector<check::Host>& hosts, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const auto& host : hosts)
    if (std::find(names.begin(), names.end(), host.name) == names.end()) out.push_back(host.name);
  return out;
}

void add_policy(check::Topology& topology, const SitePolicy& policy) {
  check::Never never{policy.name,  policy.from, policy.to,     services_of(policy.ports),
                     policy.plane, false,       policy.trusted};
  switch (policy.kind) {
    case PolicyKind::never:
      never.through_hosts = true;
      break;
    case PolicyKind::only_from:
      never.from = all_but(topology.hosts, policy.from);
      break;
    case PolicyKind::only_through:
      never.from = all_but(topology.hosts, policy.through);
      break;
    case PolicyKind::isolated: {
      never.from = all_but(topology.hosts, policy.to);
      never.to = policy.to;
      topology.never.push_back(never);
      std::swap(never.from, never.to);
      break;
    }
    case PolicyKind::always:
      topology.always.push_back({policy.name, policy.from, policy.to, policy.plane, services_of(policy.ports)});
      return;
  }
  topology.never.push_back(std::move(never));
}

/// Neighbour discovery and reports of multicast listeners; DHCPv6 where addresses come by it.
std::vector<check::Infrastructure> infrastructure_of(const Site& site) {
  const auto all_mld_routers = *IpRange::parse("ff02::16"), dhcp_servers = *IpRange::parse("ff02::1:2");
  std::vector<check::Infrastructure> out = {
      {{icmpv6, 135, 136}, {}}, {{icmpv6, 130, 130}, {}}, {{icmpv6, 143, 143}, {all_mld_routers}}};
  for (const auto& plane : site.planes) {
    if (plane.addressing != Addressing::dhcp) continue;
    out.push_back({{udp, 547, 547}, {dhcp_servers}});
    out.push_back({{udp, 546, 546}, {*IpRange::parse("fe80::/10")}});
  }
  return out;
}

}  // namespace

Result<check::Topology> topology_of(const Site& site, const Rulesets& rulesets) {
  check::Topology out;
  for (const auto& role : site.roles) {
    const auto ruleset = rulesets.find(role.name);
    if (ruleset == rulesets.end())
      return fail(ErrorCode::missing, fmt::format("no ruleset of the role {}", role.name),
                  fmt::format("give {}.json, what `nft -j list ruleset` prints on such a node", role.name));
    check::Host host{role.name, {}, false, ruleset->second};
    for (const auto& member : role.planes) host.interfaces.push_back(interface_of(site, role, member));
    out.hosts.push_back(std::move(host));
  }
  for (const auto& zone : site.zones) {
    check::Interface one;
    one.name = one.segment = zone.plane;
    one.addresses = addresses_on(site, zone.name, zone.plane);
    out.hosts.push_back({zone.name, {one}, false, std::nullopt});
  }
  for (const auto& plane : site.planes) out.hosts.push_back(outsider_of(site, plane));
  for (const auto& flow : site.flows)
    out.flows.push_back({flow.name, flow.from, flow.to, flow.plane, services_of(flow.ports)});
  for (const auto& policy : site.policies) add_policy(out, policy);
  out.infrastructure = infrastructure_of(site);
  return out;
}

}  // namespace ingot::builder
