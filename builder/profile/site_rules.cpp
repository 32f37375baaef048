#include <algorithm>

#include "choice.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

constexpr Choice<PolicyKind> kinds[] = {{"never", PolicyKind::never},
                                        {"only-from", PolicyKind::only_from},
                                        {"only-through", PolicyKind::only_through},
                                        {"always", PolicyKind::always},
                                        {"isolated", PolicyKind::isolated}};

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// Names of roles and zones; an error at the first that is neither.
Result<std::vector<std::string>> read_ends(const Site& site, const TableReader& table, std::string_view key,
                                           std::string_view who) {
  std::vector<std::string> out;
  const auto names = TRY(table.texts(key));
  if (!names) return out;
  if (names->empty()) return wrong(table.at(key), fmt::format("{} of {} is empty", key, who));
  for (const auto& name : *names) {
    if (site.role(name.value) == nullptr && site.zone(name.value) == nullptr) {
      auto known = names_of(site.roles);
      for (const auto& zone : site.zones) known.push_back(zone.name);
      return wrong(name.at, fmt::format("{} names \"{}\", which is neither a role nor a zone", who, name.value),
                   suggestion(name.value, known));
    }
    if (has(out, name.value)) return wrong(name.at, fmt::format("{} names \"{}\" twice in {}", who, name.value, key));
    out.push_back(name.value);
  }
  return out;
}

Result<std::vector<FlowPort>> read_ports(const TableReader& table, std::string_view who) {
  std::vector<FlowPort> out;
  const auto ports = TRY(table.texts("ports"));
  if (!ports) return out;
  for (const auto& text : *ports) {
    const auto port = FlowPort::parse(text.value);
    if (!port)
      return wrong(text.at, fmt::format("\"{}\" in {} is not a port", text.value, who),
                   "write \"tcp/443\", \"udp/5000-5010\" or \"icmp\"");
    for (const auto& other : out)
      if (overlap(other, *port))
        return wrong(text.at, fmt::format("{} in {} overlaps {}", text.value, who, to_text(other)));
    out.push_back(*port);
  }
  return out;
}

template <typename T>
Result<std::string> read_name(const std::vector<T>& earlier, const TableReader& table, std::string_view what) {
  auto name = TRY(required_text(table, "name", fmt::format("a {}", what)));
  const auto at = table.at("name");
  // Part of names in the ruleset, so no blank and nothing that nft reads as its own.
  const auto is_good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (name.size() > 40 || !std::all_of(name.begin(), name.end(), is_good) || name.front() < 'a')
    return wrong(at, fmt::format("the {}'s name \"{}\" is not one of up to 40 characters of a-z, 0-9 and -, a letter "
                                 "first",
                                 what, name));
  for (const auto& other : earlier)
    if (other.name == name)
      return wrong(at, fmt::format("two {}s are named \"{}\", the other at line {}", what, name, other.at.line));
  return name;
}

std::vector<std::string_view> planes_of(const Site& site, std::string_view end) {
  std::vector<std::string_view> out;
  for (const auto& plane : site.planes)
    if (!addresses_on(site, end, plane.name).empty()) out.push_back(plane.name);
  return out;
}

bool share_family(const std::vector<IpRange>& a, const std::vector<IpRange>& b) {
  return std::any_of(a.begin(), a.end(), [&](const IpRange& one) {
    return std::any_of(b.begin(), b.end(), [&](const IpRange& other) { return one.family() == other.family(); });
  });
}

/// Both ends are on the flow's plane, at most one of them is a zone, and they have a family in common.
Result<void> check_pair(const Site& site, const SiteFlow& flow, const std::string& from, const std::string& to) {
  const auto who = fmt::format("the flow {} from {} to {}", flow.name, from, to);
  for (const auto& end : {from, to})
    if (addresses_on(site, end, flow.plane).empty())
      return wrong(flow.at, fmt::format("{} goes over the plane {}, and {} is not on it", who, flow.plane, end),
                   fmt::format("{} is on {}", end, quoted_list(planes_of(site, end))));
  if (site.zone(from) != nullptr && site.zone(to) != nullptr)
    return wrong(flow.at, fmt::format("{} is between two zones", who), "no node has a part in it");
  if (!share_family(addresses_on(site, from, flow.plane), addresses_on(site, to, flow.plane)))
    return wrong(flow.at, fmt::format("{}: one has IPv4 addresses only and the other IPv6 only on {}", who, flow.plane),
                 "give both ends addresses of one family");
  return {};
}

/// VXLAN goes between listed VTEPs and nobody else, whatever flows say: one that opens its port is a misunderstanding.
Result<void> check_not_vtep(const Site& site, const SiteFlow& flow) {
  for (const auto& overlay : site.planes) {
    if (overlay.underlay != flow.plane) continue;
    for (const auto& port : flow.ports)
      if (overlap(port, {FlowProtocol::udp, overlay.port, overlay.port}))
        return wrong(flow.at,
                     fmt::format("the flow {} opens {} on {}, the underlay of {}", flow.name, to_text(port), flow.plane,
                                 overlay.name),
                     "VTEPs reach each other without a flow; nobody else may");
  }
  return {};
}

Result<SiteFlow> read_flow(const Site& site, const TableReader& table) {
  TRY(table.only({"name", "from", "to", "plane", "ports", "why"}));
  SiteFlow flow;
  flow.at = table.at();
  flow.name = TRY(read_name(site.flows, table, "flow"));
  const auto who = fmt::format("the flow {}", flow.name);
  flow.from = TRY(read_ends(site, table, "from", who));
  flow.to = TRY(read_ends(site, table, "to", who));
  flow.ports = TRY(read_ports(table, who));
  for (const auto& [key, is_empty] :
       {std::pair{"from", flow.from.empty()}, {"to", flow.to.empty()}, {"ports", flow.ports.empty()}})
    if (is_empty) return wrong(flow.at, fmt::format("{} has no {}", who, key), fmt::format("add {} = [\"...\"]", key));
  flow.plane = TRY(required_text(table, "plane", who));
  if (site.plane(flow.plane) == nullptr)
    return wrong(table.at("plane"), fmt::format("{} goes over \"{}\", which is no plane", who, flow.plane),
                 suggestion(flow.plane, names_of(site.planes)));
  flow.why = TRY(required_text(table, "why", who));
  for (const auto& from : flow.from)
    for (const auto& to : flow.to) TRY(check_pair(site, flow, from, to));
  TRY(check_not_vtep(site, flow));
  return flow;
}

std::vector<SiteFlow> rdma_flows(const Site& site) {
  std::vector<SiteFlow> out;
  for (const auto& plane : site.planes) {
    if (!plane.rdma) continue;
    SiteFlow flow;
    flow.name = fmt::format("rdma-{}", plane.name);
    for (const auto& role : site.roles)
      if (role.on(plane.name) != nullptr) flow.from.push_back(role.name);
    flow.to = flow.from;
    flow.plane = plane.name;
    flow.ports = {{FlowProtocol::udp, roce_port, roce_port}};
    flow.why = "RoCE between the members of an RDMA plane";
    flow.at = plane.at;
    if (!flow.from.empty()) out.push_back(std::move(flow));
  }
  return out;
}

/// Keys that a kind of policy must have; every other one of from, to, through, trusted, plane and ports it may not.
struct PolicyKeys {
  std::vector<std::string_view> must;
  std::vector<std::string_view> may;
};
PolicyKeys keys_of(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::never:
      return {{"from", "to"}, {"ports", "plane", "trusted"}};
    case PolicyKind::only_from:
      return {{"from", "to", "ports"}, {"plane"}};
    case PolicyKind::only_through:
      return {{"through", "to", "ports"}, {"plane"}};
    case PolicyKind::always:
      return {{"from", "to", "ports"}, {"plane"}};
    case PolicyKind::isolated:
      return {{"plane", "to"}, {}};
  }
  return {};
}

Result<void> check_policy_keys(const SitePolicy& policy, const TableReader& table) {
  const auto keys = keys_of(policy.kind);
  for (const auto key : keys.must)
    if (!table.has(key))
      return wrong(policy.at, fmt::format("the policy {} of kind {} has no {}", policy.name, to_text(policy.kind), key),
                   fmt::format("add {} = ...", key));
  const auto is_known = [](const auto& list, std::string_view key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  for (const std::string_view key : {"from", "to", "through", "trusted", "plane", "ports"})
    if (table.has(key) && !is_known(keys.must, key) && !is_known(keys.may, key))
      return wrong(table.at(key),
                   fmt::format("the policy {} of kind {} has {}, which means nothing there", policy.name,
                               to_text(policy.kind), key),
                   fmt::format("it takes {}", quoted_list(keys.must)));
  return {};
}

Result<SitePolicy> read_policy(const Site& site, const TableReader& table) {
  TRY(table.only({"name", "kind", "from", "to", "through", "trusted", "plane", "ports", "why"}));
  SitePolicy policy;
  policy.at = table.at();
  policy.name = TRY(read_name(site.policies, table, "policy"));
  const auto who = fmt::format("the policy {}", policy.name);
  const auto kind = TRY(choose(table, "kind", kinds));
  if (!kind) return wrong(policy.at, fmt::format("{} has no kind", who), "add kind = \"never\"");
  policy.kind = kind->value;
  TRY(check_policy_keys(policy, table));
  policy.from = TRY(read_ends(site, table, "from", who));
  policy.to = TRY(read_ends(site, table, "to", who));
  policy.through = TRY(read_ends(site, table, "through", who));
  policy.trusted = TRY(read_ends(site, table, "trusted", who));
  policy.ports = TRY(read_ports(table, who));
  policy.why = TRY(required_text(table, "why", who));
  if (!table.has("plane")) return policy;
  policy.plane = TRY(required_text(table, "plane", who));
  if (site.plane(policy.plane) == nullptr)
    return wrong(table.at("plane"), fmt::format("{} is about \"{}\", which is no plane", who, policy.plane),
                 suggestion(policy.plane, names_of(site.planes)));
  return policy;
}

}  // namespace

Result<void> read_flows(Site& site, const TableReader& top) {
  for (const auto& table : TRY(top.tables("flows"))) site.flows.push_back(TRY(read_flow(site, table)));
  for (auto& flow : rdma_flows(site)) site.flows.push_back(std::move(flow));
  return {};
}

Result<void> read_policies(Site& site, const TableReader& top) {
  for (const auto& table : TRY(top.tables("policies"))) site.policies.push_back(TRY(read_policy(site, table)));
  return {};
}

}  // namespace ingot::builder::detail
