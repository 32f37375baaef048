// Nothing but flows passes, and nothing that must never. Who reaches whom.
#include "segment_claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

namespace ingot::check {
namespace {

constexpr std::size_t listed_services = 32;
constexpr std::uint16_t all_bits = field::vni.first + field::vni.width;

}  // namespace

Claims::Claims(const Topology& topology, Network& network)
    : topology_(topology), network_(network), sets_(network.packets()) {
  for (const auto& one : topology.infrastructure) {
    auto packets = sets_.service(one.service);
    if (!one.to.empty()) packets = sets_.both(packets, sets_.addresses(field::destination, one.to));
    infrastructure_ = sets_.either(infrastructure_, packets);
  }
  const auto multicast = sets_.address(field::destination, *IpRange::parse("ff02::1:ff00:0/104"));
  const auto unicast =
      sets_.without(sets_.family(IpFamily::v6), sets_.address(field::destination, *IpRange::parse("ff00::/8")));
  solicitations_ = sets_.both(sets_.service({protocol::icmpv6, 135, 135}), multicast);
  advertisements_ = sets_.both(sets_.service({protocol::icmpv6, 136, 136}), unicast);
  report.rule_count = network.rule_count();
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < topology.hosts.size(); ++i) places[topology.hosts[i].name] = i;
  for (const auto& flow : topology.flows)
    for (const auto& from : flow.from)
      for (const auto& to : flow.to) flows_[{places.at(from), places.at(to)}].push_back(&flow);
}

bool Claims::is_named(const std::vector<std::string>& names, std::size_t host) const {
  return std::find(names.begin(), names.end(), topology_.hosts[host].name) != names.end();
}

Set Claims::services(const std::vector<Service>& wanted) {
  Set out = wanted.empty() ? everything : nothing;
  for (const auto& one : wanted) out = sets_.either(out, sets_.service(one));
  return out;
}

/// Packets of an edge that some flow has, or everybody may send.
Set Claims::allowed(const Edge& edge) {
  if (edge.is_rogue) return nothing;
  Set out = nothing;
  const auto& segment = network_.interface(edge.to).segment;
  if (const auto found = flows_.find({edge.from.host, edge.to.host}); found != flows_.end())
    for (const auto* flow : found->second)
      if (flow->segment.empty() || flow->segment == segment) out = sets_.either(out, services(flow->services));
  if (out != nothing) out = sets_.both(out, sets_.both(network_.from(edge.from), network_.to(edge.to)));
  // What carries overlays between their members.
  for (std::size_t i = 0; i < network_.host(edge.to.host).interfaces.size(); ++i) {
    const End over{edge.to.host, i};
    const auto& overlay = network_.interface(over);
    if (!overlay.vxlan || network_.underlay(over) != edge.to) continue;
    for (const auto& member : network_.ends_on(overlay.segment))
      if (member.host == edge.from.host && network_.interface(member).vxlan)
        out = sets_.either(out, sets_.forget(network_.carriers(member, over), field::vni));
  }
  return out;
}

Set Claims::beyond_infrastructure(const Edge& edge) {
  return edge.is_rogue ? edge.packets : sets_.without(edge.packets, infrastructure_);
}

/// How the easiest of these packets travels. Where addresses are translated on the way, one that becomes such a packet.
Step Claims::step_of(const Edge& edge, Set wanted) { return network_.step(edge, sets_.example(wanted)); }

void Claims::check_closed() {
  ++report.claim_count;
  for (const auto& edge : network_.edges()) {
    const auto rest = sets_.without(beyond_infrastructure(edge), allowed(edge));
    if (rest == nothing) continue;
    report.violations.push_back(
        {ViolationKind::not_a_flow,
         "nothing but the flows",
         fmt::format("{} reaches {} on {} by something that is no flow", network_.host(edge.from.host).name,
                     network_.host(edge.to.host).name, network_.interface(edge.to).segment),
         {step_of(edge, rest)}});
  }
}

void Claims::check_direct(const Never& never) {
  const auto wanted = services(never.services);
  for (const auto& edge : network_.edges()) {
    if (!is_named(never.from, edge.from.host) || !is_named(never.to, edge.to.host)) continue;
    if (!never.segment.empty() && never.segment != network_.interface(edge.to).segment) continue;
    const auto bad = sets_.both(beyond_infrastructure(edge), wanted);
    if (bad == nothing) continue;
    report.violations.push_back(
        {ViolationKind::forbidden,
         never.name,
         fmt::format("{} reaches {}", network_.host(edge.from.host).name, network_.host(edge.to.host).name),
         {step_of(edge, bad)}});
  }
}

void Claims::add_path(const Never& never, const std::vector<const Edge*>& path) {
  Violation out{ViolationKind::forbidden, never.name, network_.host(path.front()->from.host).name, {}};
  for (const auto* edge : path) {
    out.text += fmt::format(" > {}", network_.host(edge->to.host).name);
    auto packets = beyond_infrastructure(*edge);
    if (edge == path.back()) packets = sets_.both(packets, services(never.services));
    out.steps.push_back(step_of(*edge, packets));
  }
  out.text = fmt::format("through hosts in between: {}", out.text);
  report.violations.push_back(std::move(out));
}

/// The shortest ways over more than one connection, breadth first. ICMP takes nobody over, but it arrives.
void Claims::check_through_hosts(const Never& never) {
  const auto wanted = services(never.services);
  const auto icmp = sets_.either(sets_.protocol(protocol::icmp), sets_.protocol(protocol::icmpv6));
  std::map<std::size_t, std::vector<const Edge*>> leaving;
  for (const auto& edge : network_.edges()) leaving[edge.from.host].push_back(&edge);
  for (std::size_t start = 0; start < topology_.hosts.size(); ++start) {
    if (!is_named(never.from, start)) continue;
    std::map<std::size_t, std::vector<const Edge*>> paths{{start, {}}};
    std::deque<std::size_t> waiting{start};
    std::vector<std::size_t> reported;
    while (!waiting.empty()) {
      const auto at = waiting.front();
      waiting.pop_front();
      for (const auto* edge : leaving[at]) {
        const auto to = edge->to.host;
        const auto packets = beyond_infrastructure(*edge);
        auto path = paths.at(at);
        path.push_back(edge);
        const bool is_hit = is_named(never.to, to) && sets_.both(packets, wanted) != nothing && path.size() > 1;
        if (is_hit && std::find(reported.begin(), reported.end(), to) == reported.end()) {
          reported.push_back(to);
          add_path(never, path);
        }
        const bool goes_on = !paths.contains(to) && !is_named(never.trusted, to) && !is_named(never.to, to) &&
                             sets_.without(packets, icmp) != nothing;
        if (!goes_on) continue;
        paths[to] = std::move(path);
        waiting.push_back(to);
      }
    }
  }
}

void Claims::check_never() {
  for (const auto& never : topology_.never) {
    ++report.claim_count;
    check_direct(never);
    if (never.through_hosts) check_through_hosts(never);
  }
}

void Claims::tabulate() {
  std::map<std::size_t, std::vector<std::size_t>> next;
  const auto icmp = sets_.either(sets_.protocol(protocol::icmp), sets_.protocol(protocol::icmpv6));
  for (const auto& edge : network_.edges()) {
    const auto packets = beyond_infrastructure(edge);
    if (packets == nothing) continue;
    report.reach.push_back({network_.host(edge.from.host).name, network_.host(edge.to.host).name,
                            network_.interface(edge.to).segment, edge.is_rogue, services_of(sets_, packets)});
    if (sets_.without(packets, icmp) != nothing) next[edge.from.host].push_back(edge.to.host);
  }
  for (std::size_t start = 0; start < topology_.hosts.size(); ++start) {
    std::vector<bool> seen(topology_.hosts.size(), false);
    std::deque<std::size_t> waiting(next[start].begin(), next[start].end());
    const auto direct = next[start];
    while (!waiting.empty()) {
      const auto at = waiting.front();
      waiting.pop_front();
      if (seen[at]) continue;
      seen[at] = true;
      waiting.insert(waiting.end(), next[at].begin(), next[at].end());
      if (at != start && std::find(direct.begin(), direct.end(), at) == direct.end())
        report.through.emplace_back(topology_.hosts[start].name, topology_.hosts[at].name);
    }
  }
}

std::vector<Service> services_of(PacketSets& sets, Set packets) {
  // A list of all protocols is none.
  if (sets.forget(sets.forget(packets, {field::protocol.first + field::protocol.width, all_bits}), field::family) ==
      everything)
    return {{std::nullopt, 0, UINT16_MAX}};
  std::vector<Service> out;
  while (packets != nothing && out.size() < listed_services) {
    const auto number = sets.least(packets, field::protocol);
    const auto one = sets.both(packets, sets.equal(field::protocol, number));
    packets = sets.without(packets, sets.equal(field::protocol, number));
    // What is left of the ports when all else may be anything.
    auto ports = sets.forget(sets.forget(one, {0, field::destination_port.first}),
                             {field::destination.first, static_cast<std::uint16_t>(field::vni.first + field::vni.width -
                                                                                   field::destination.first)});
    while (ports != nothing && out.size() < listed_services) {
      const auto first = sets.least(ports, field::destination_port);
      const auto gaps = sets.without(sets.between(field::destination_port, first, UINT16_MAX), ports);
      const auto last = gaps == nothing ? Wide{UINT16_MAX} : sets.least(gaps, field::destination_port) - 1;
      out.push_back(
          {static_cast<std::uint8_t>(number), static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
      ports = sets.without(ports, sets.between(field::destination_port, first, last));
    }
  }
  return out;
}

}  // namespace ingot::check
