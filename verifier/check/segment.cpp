#include "ingot/check/segment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "segment_claims.hpp"

namespace ingot::check {
namespace {

Error missing(std::string message) {
  return Error{ErrorCode::malformed, std::move(message), "name what is in the topology", std::nullopt, std::nullopt};
}

Result<void> check_names(const Topology& topology) {
  const auto is_host = [&](const std::string& name) {
    return std::any_of(topology.hosts.begin(), topology.hosts.end(), [&](const auto& one) { return one.name == name; });
  };
  const auto check = [&](const std::string& claim, const std::vector<std::string>& names) -> Result<void> {
    for (const auto& name : names)
      if (!is_host(name)) return fail(missing(fmt::format("{}: there is no host {}", claim, name)));
    return {};
  };
  for (const auto& one : topology.hosts)
    for (const auto& interface : one.interfaces) {
      if (!interface.vxlan) continue;
      const bool is_carried = std::any_of(one.interfaces.begin(), one.interfaces.end(), [&](const auto& other) {
        return other.name == interface.vxlan->underlay && !other.vxlan;
      });
      if (!is_carried)
        return fail(
            missing(fmt::format("{}: {} has no underlay {}", one.name, interface.name, interface.vxlan->underlay)));
    }
  for (const auto* flows : {&topology.flows, &topology.always})
    for (const auto& one : *flows) {
      TRY(check(one.name, one.from));
      TRY(check(one.name, one.to));
    }
  for (const auto& one : topology.never) {
    TRY(check(one.name, one.from));
    TRY(check(one.name, one.to));
    TRY(check(one.name, one.trusted));
  }
  return {};
}

}  // namespace

Fate fate_of_incoming(const Host& host, const std::string& interface, const Packet& packet) {
  PacketSets sets;
  Firewall firewall(sets, host);
  const auto one = sets.only(packet);
  if (firewall.received(one, interface, Bound::may) == nothing) return Fate::lost;
  return firewall.received(one, interface, Bound::must) != nothing ? Fate::passes : Fate::depends;
}

Fate fate_of_outgoing(const Host& host, const std::string& interface, const Packet& packet) {
  PacketSets sets;
  Firewall firewall(sets, host);
  const auto one = sets.only(packet);
  if (firewall.sent(one, interface, Bound::may) == nothing) return Fate::lost;
  return firewall.sent(one, interface, Bound::must) != nothing ? Fate::passes : Fate::depends;
}

Result<SegmentReport> check_segments(const Topology& topology) {
  TRY(check_names(topology));
  Network network(topology);
  TRY(network.explore());
  Claims claims(topology, network);
  claims.check_works();
  claims.check_closed();
  claims.check_never();
  claims.tabulate();
  if (network.packets().is_full())
    return fail(ErrorCode::limit, "the rulesets are too complex for the memory that the proof may use");
  return std::move(claims.report);
}

std::string to_text(ViolationKind kind) {
  switch (kind) {
    case ViolationKind::forbidden:
      return "forbidden";
    case ViolationKind::not_a_flow:
      return "not-a-flow";
    case ViolationKind::broken:
      break;
  }
  return "broken";
}

std::string to_text(const Service& service) {
  if (!service.protocol) return "anything";
  constexpr std::pair<std::uint8_t, std::string_view> names[] = {
      {protocol::icmp, "icmp"}, {protocol::tcp, "tcp"}, {protocol::udp, "udp"}, {protocol::icmpv6, "icmpv6"}};
  auto name = fmt::format("protocol-{}", *service.protocol);
  for (const auto& [number, text] : names)
    if (number == *service.protocol) name = text;
  if (service.first == 0 && service.last == 0) return name;
  if (service.first == 0 && service.last == UINT16_MAX) return name + "/any";
  return service.first == service.last ? fmt::format("{}/{}", name, service.first)
                                       : fmt::format("{}/{}-{}", name, service.first, service.last);
}

std::string render_segments(const SegmentReport& report) {
  std::string out;
  out += "direct:\n";
  for (const auto& one : report.reach) {
    std::string services;
    for (const auto& service : one.services) services += (services.empty() ? "" : ", ") + to_text(service);
    out += fmt::format("  {} > {} on {}{}: {}\n", one.from, one.to, one.segment, one.as_rogue ? " (rogue VXLAN)" : "",
                       services);
  }
  out += "only through hosts in between:\n";
  for (const auto& [from, to] : report.through) out += fmt::format("  {} > {}\n", from, to);
  for (const auto& one : report.violations) {
    out += fmt::format("{}: {}: {}\n", to_text(one.kind), one.claim, one.text);
    for (const auto& step : one.steps) {
      out += fmt::format("  {} > {} on {}: {}{}{}\n", step.from, step.to, step.segment, to_text(step.packet),
                         step.note.empty() ? "" : ", ", step.note);
      for (const auto& hop : step.hops) {
        out += fmt::format("    {}: {}\n", hop.host, hop.hook);
        for (const auto& hit : hop.rules)
          out += fmt::format("      {}{}: {}\n", hit.chain,
                             hit.handle == 0 ? "" : fmt::format(" # handle {}", hit.handle), hit.text);
      }
    }
  }
  return out + fmt::format("{}: {} claims over {} rules, {} violations\n",
                           report.violations.empty() ? "holds" : "broken", report.claim_count, report.rule_count,
                           report.violations.size());
}

}  // namespace ingot::check
