#include <algorithm>

#include "choice.hpp"
#include "ingot/model/services.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

constexpr FlowPort ssh{FlowProtocol::tcp, ssh_port, ssh_port};
constexpr FlowPort journal{FlowProtocol::tcp, journal_port, journal_port};
constexpr FlowPort ntp{FlowProtocol::udp, ntp_port, ntp_port};

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool opens(const SiteFlow& flow, const FlowPort& port) {
  return std::any_of(flow.ports.begin(), flow.ports.end(), [&](const FlowPort& one) { return one.contains(port); });
}

const SiteFlow* find_flow(const Site& site, std::string_view from, std::string_view to, const FlowPort& port) {
  const auto found = std::find_if(site.flows.begin(), site.flows.end(), [&](const SiteFlow& flow) {
    return has(flow.from, from) && has(flow.to, to) && opens(flow, port);
  });
  return found == site.flows.end() ? nullptr : &*found;
}

/// The first port that a flow and a policy have in common.
std::optional<FlowPort> common_port(const SiteFlow& flow, const SitePolicy& policy) {
  if (policy.ports.empty()) return flow.ports.front();
  for (const auto& port : flow.ports)
    for (const auto& other : policy.ports)
      if (overlap(port, other)) return port;
  return std::nullopt;
}

/// Why a policy forbids that a flow lets `from` reach `to`; nothing when it does not.
bool forbids(const SitePolicy& policy, const SiteFlow& flow, const std::string& from, const std::string& to) {
  if (policy.kind == PolicyKind::isolated)
    return flow.plane == policy.plane && !(has(policy.to, from) && has(policy.to, to));
  if (!policy.plane.empty() && policy.plane != flow.plane) return false;
  if (!has(policy.to, to) || !common_port(flow, policy)) return false;
  switch (policy.kind) {
    case PolicyKind::never:
      return has(policy.from, from);
    case PolicyKind::only_from:
      return !has(policy.from, from);
    case PolicyKind::only_through:
      return !has(policy.through, from);
    case PolicyKind::always:
    case PolicyKind::isolated:
      return false;
  }
  return false;
}

Result<void> check_flow_against(const SitePolicy& policy, const SiteFlow& flow) {
  for (const auto& from : flow.from)
    for (const auto& to : flow.to)
      if (forbids(policy, flow, from, to))
        return wrong(flow.at,
                     fmt::format("the flow {} lets {} reach {} over {} ({}), and the policy {} of kind {} "
                                 "(line {}) forbids it",
                                 flow.name, from, to, flow.plane,
                                 to_text(common_port(flow, policy).value_or(flow.ports.front())), policy.name,
                                 to_text(policy.kind), policy.at.line),
                     "take one of them back");
  return {};
}

Result<void> check_always(const Site& site, const SitePolicy& policy) {
  for (const auto& from : policy.from)
    for (const auto& to : policy.to)
      for (const auto& port : policy.ports) {
        const auto* flow = find_flow(site, from, to, port);
        if (from != to && flow == nullptr)
          return wrong(policy.at,
                       fmt::format("the policy {} wants {} to reach {} ({}), and no flow lets it", policy.name, from,
                                   to, to_text(port)),
                       "add a flow, or take it out of the policy");
      }
  return {};
}

Result<void> check_isolated(const Site& site, const SitePolicy& policy) {
  const auto check = [&](const std::string& name) -> Result<void> {
    if (addresses_on(site, name, policy.plane).empty() || has(policy.to, name)) return {};
    return wrong(policy.at,
                 fmt::format("the policy {} isolates {}, and {} is on that plane", policy.name, policy.plane, name),
                 fmt::format("add it to the policy's to, or take it off {}", policy.plane));
  };
  for (const auto& role : site.roles) TRY(check(role.name));
  for (const auto& zone : site.zones) TRY(check(zone.name));
  return {};
}

/// SSH goes through the bastion only, and somebody can log in everywhere where there is a daemon.
Result<void> check_ssh(const Site& site) {
  for (const auto& flow : site.flows) {
    if (!std::any_of(flow.ports.begin(), flow.ports.end(), [](const auto& port) { return overlap(port, ssh); }))
      continue;
    for (const auto& to : flow.to) {
      const auto* role = site.role(to);
      if (role == nullptr) continue;
      if (!role->ssh)
        return wrong(flow.at, fmt::format("the flow {} opens SSH to {}, which has ssh = false", flow.name, to),
                     fmt::format("take {} out of the flow, or ssh = false out of [roles.{}]", to, to));
      for (const auto& from : flow.from)
        if (to == site.bastion ? site.zone(from) == nullptr : from != site.bastion)
          return wrong(
              flow.at, fmt::format("the flow {} opens SSH to {} from {}", flow.name, to, from),
              to == site.bastion ? "only zones may log in to the bastion" : "let it come from the bastion only");
    }
  }
  for (const auto& role : site.roles) {
    if (!role.ssh) continue;
    if (site.bastion.empty())
      return wrong(role.at,
                   fmt::format("the role {} has SSH, and the site has no bastion: nobody could log in", role.name),
                   "name one: bastion = \"management\"; or give the role ssh = false");
    const bool is_bastion = role.name == site.bastion;
    const bool lets_in = is_bastion
                             ? std::any_of(site.zones.begin(), site.zones.end(),
                                           [&](const auto& zone) { return find_flow(site, zone.name, role.name, ssh); })
                             : find_flow(site, site.bastion, role.name, ssh) != nullptr;
    if (!lets_in)
      return wrong(role.at,
                   fmt::format("the role {} has SSH, and no flow lets {} in (tcp/22): nobody could log in", role.name,
                               is_bastion ? "a zone" : "the bastion"),
                   is_bastion ? "add a flow from a zone to the bastion"
                              : "add a flow from the bastion, or give the role ssh = false");
  }
  return {};
}

/// Every node can say what it saw, and knows what time it is.
Result<void> check_services(const Site& site) {
  if (site.collector.empty())
    return wrong({site.path, 1, 1}, "the site has no collector: no log would leave a node",
                 "name the role that receives logs: collector = \"management\"");
  for (const auto& role : site.roles) {
    if (role.name != site.collector && find_flow(site, role.name, site.collector, journal) == nullptr)
      return wrong(role.at,
                   fmt::format("no flow lets {} deliver its logs to the collector {} ({})", role.name, site.collector,
                               to_text(journal)),
                   "add it to a flow with that port");
    if (!site.time.empty() && role.name != site.time && find_flow(site, role.name, site.time, ntp) == nullptr)
      return wrong(role.at, fmt::format("no flow lets {} ask {} for the time ({})", role.name, site.time, to_text(ntp)),
                   "add it to a flow with that port");
  }
  return {};
}

/// Nodes that ask for their addresses are heard.
Result<void> check_dhcp(const Site& site) {
  for (const auto& plane : site.planes) {
    if (plane.addressing != Addressing::dhcp) continue;
    for (const auto& subnet : plane.subnets) {
      const auto number = subnet.family() == IpFamily::v4 ? dhcp_port : dhcpv6_port;
      const FlowPort port{FlowProtocol::udp, number, number};
      for (const auto& role : site.roles) {
        if (role.on(plane.name) == nullptr) continue;
        const bool asks = std::any_of(site.flows.begin(), site.flows.end(), [&](const SiteFlow& flow) {
          return flow.plane == plane.name && has(flow.from, role.name) && opens(flow, port);
        });
        if (!asks)
          return wrong(plane.at,
                       fmt::format("{} gets its addresses by DHCP, and no flow lets {} ask for them ({})", plane.name,
                                   role.name, to_text(port)),
                       "add a flow to the role or zone that has the server");
      }
    }
  }
  return {};
}

}  // namespace

Result<void> check_site(const Site& site) {
  for (const auto& policy : site.policies) {
    for (const auto& flow : site.flows) TRY(check_flow_against(policy, flow));
    if (policy.kind == PolicyKind::always) TRY(check_always(site, policy));
    if (policy.kind == PolicyKind::isolated) TRY(check_isolated(site, policy));
  }
  TRY(check_ssh(site));
  TRY(check_services(site));
  return check_dhcp(site);
}

}  // namespace ingot::builder::detail
