// Flows work: what their hosts send arrives, and so do the answers.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "segment_claims.hpp"

namespace ingot::check {
namespace {

constexpr std::uint16_t first_ephemeral = 1024;
constexpr std::uint8_t syn = 2, syn_ack = 0x12, ack = 0x10;

/// ICMP's answer to a request of this type.
std::optional<std::uint8_t> answer_of(std::uint8_t protocol, std::uint16_t type) {
  if (protocol == protocol::icmp && type == 8) return 0;
  if (protocol == protocol::icmpv6 && type == 128) return 129;
  return std::nullopt;
}

/// A connection's packets, after its first one, in one direction: state established, and TCP flags of such.
Set later(PacketSets& sets, Set first, std::uint8_t flags) {
  const auto tcp = sets.both(sets.forget(sets.both(first, sets.protocol(protocol::tcp)), field::tcp_flags),
                             sets.equal(field::tcp_flags, flags));
  const auto others = sets.without(first, sets.protocol(protocol::tcp));
  return sets.both(sets.forget(sets.either(tcp, others), field::state), sets.state(PacketState::established));
}

}  // namespace

std::vector<Claims::Connection> Claims::connections(const Flow& flow) {
  std::vector<Connection> out;
  for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
    if (!is_named(flow.from, i)) continue;
    for (std::size_t j = 0; j < topology_.hosts[i].interfaces.size(); ++j) {
      const auto& segment = topology_.hosts[i].interfaces[j].segment;
      if (!flow.segment.empty() && flow.segment != segment) continue;
      for (const auto& to : network_.ends_on(segment))
        if (is_named(flow.to, to.host)) out.push_back({{i, j}, to});
    }
  }
  return out;
}

Claims::Exchange Claims::exchange(const Flow& flow) {
  const auto first = requests(flow);
  return {first, later(sets_, first, ack), replies(flow)};
}

/// First packets of a flow, of both families.
Set Claims::requests(const Flow& flow) {
  Set out = sets_.both(services(flow.services), sets_.well_formed());
  const auto ports = sets_.both(sets_.with_ports(), sets_.between(field::source_port, first_ephemeral, UINT16_MAX));
  out = sets_.both(out, sets_.either(ports, sets_.none_of(sets_.with_ports())));
  out = sets_.both(out, sets_.either(sets_.equal(field::tcp_flags, syn), sets_.none_of(sets_.protocol(protocol::tcp))));
  // Requests of ICMP families go with their own IP.
  const auto odd = sets_.either(sets_.both(sets_.protocol(protocol::icmp), sets_.family(IpFamily::v6)),
                                sets_.both(sets_.protocol(protocol::icmpv6), sets_.family(IpFamily::v4)));
  return sets_.both(sets_.without(out, odd), sets_.state(PacketState::fresh));
}

/// What answers a flow's requests: its services' ports, or the answers of ICMP, at the source.
Set Claims::replies(const Flow& flow) {
  Set ports = flow.services.empty() ? sets_.with_ports() : nothing;
  Set icmp = nothing;
  for (const auto& one : flow.services) {
    if (!one.protocol) ports = sets_.either(ports, sets_.with_ports());
    if (!one.protocol) continue;
    const auto number = sets_.protocol(*one.protocol);
    const auto answer = answer_of(*one.protocol, one.first);
    if (answer)
      icmp = sets_.either(icmp, sets_.both(number, sets_.equal(field::destination_port, *answer)));
    else
      ports = sets_.either(ports, sets_.both(sets_.both(number, sets_.with_ports()),
                                             sets_.between(field::source_port, one.first, one.last)));
  }
  ports = sets_.both(ports, sets_.between(field::destination_port, first_ephemeral, UINT16_MAX));
  icmp = sets_.both(icmp, sets_.either(sets_.both(sets_.protocol(protocol::icmp), sets_.family(IpFamily::v4)),
                                       sets_.both(sets_.protocol(protocol::icmpv6), sets_.family(IpFamily::v6))));
  return later(sets_, sets_.both(sets_.either(ports, icmp), sets_.well_formed()), syn_ack);
}

Violation Claims::lost_packet(const Flow& flow, End from, End to, Set lost, std::string what) {
  Edge edge;
  edge.from = from;
  edge.to = to;
  edge.sent = lost;
  const auto packet = sets_.example(lost);
  return {ViolationKind::broken,
          flow.name,
          fmt::format("{} from {} to {} is not sure to pass", what, network_.host(from.host).name,
                      network_.host(to.host).name),
          {network_.step(edge, packet)}};
}

std::optional<Violation> Claims::broken_below(const Flow& flow, const Connection& connection) {
  if (!network_.interface(connection.from).vxlan || !network_.interface(connection.to).vxlan) return std::nullopt;
  for (const auto& [from, to] :
       {std::pair{connection.from, connection.to}, std::pair{connection.to, connection.from}}) {
    const auto sender = network_.underlay(from), receiver = network_.underlay(to);
    const auto outer = sets_.both(network_.carriers(from, to), sets_.well_formed());
    for (const auto state : {PacketState::fresh, PacketState::established}) {
      const auto lost = network_.lost(sender, receiver, sets_.both(outer, sets_.state(state)));
      if (lost != nothing) return lost_packet(flow, sender, receiver, lost, "the VXLAN packet that carries it");
    }
  }
  return std::nullopt;
}

/// IPv6 finds no one without neighbour discovery. Rules look at more of it (the hop limit) than the model does, so this
/// asks only whether it can pass at all.
std::optional<Violation> Claims::unknown_neighbours(const Flow& flow, const Connection& connection, Set requests) {
  if (sets_.both(requests, sets_.family(IpFamily::v6)) == nothing) return std::nullopt;
  for (const auto& [from, to] :
       {std::pair{connection.from, connection.to}, std::pair{connection.to, connection.from}}) {
    for (const auto& [packets, name] : {std::pair{solicitations_, "a neighbour solicitation"},
                                        std::pair{advertisements_, "a neighbour advertisement"}}) {
      if (network_.can_send(from, packets) && network_.can_hear(to, packets)) continue;
      auto example = sets_.both(sets_.both(packets, sets_.well_formed()), network_.from(from));
      example = sets_.both(example, sets_.state(PacketState::untracked));
      return lost_packet(flow, from, to, example, name);
    }
  }
  return std::nullopt;
}

std::optional<Violation> Claims::broken(const Flow& flow, const Exchange& exchange, const Connection& connection) {
  const auto [from, to] = connection;
  const auto there = sets_.both(network_.from(from), network_.to(to));
  const auto back = sets_.both(network_.from(to), network_.to(from));
  const auto first = sets_.both(there, exchange.first);
  if (const auto lost = network_.lost(from, to, first); lost != nothing)
    return lost_packet(flow, from, to, lost, "a first packet");
  if (const auto lost = network_.lost(from, to, sets_.both(there, exchange.later)); lost != nothing)
    return lost_packet(flow, from, to, lost, "a later packet");
  if (const auto lost = network_.lost(to, from, sets_.both(back, exchange.reply)); lost != nothing)
    return lost_packet(flow, to, from, lost, "a reply");
  if (auto found = unknown_neighbours(flow, connection, first)) return found;
  return broken_below(flow, connection);
}

/// Whether an end finds its neighbours, and they find it.
bool Claims::meets_neighbours(End end) {
  const auto [known, is_new] = meets_neighbours_.try_emplace(end, true);
  if (!is_new || sets_.both(network_.from(end), sets_.family(IpFamily::v6)) == nothing) return known->second;
  for (const auto packets : {solicitations_, advertisements_})
    known->second = known->second && network_.can_send(end, packets) && network_.can_hear(end, packets);
  return known->second;
}

// Hosts are many and their pairs are many more. What an end sends to all of its peers is one set, and so is what it
// hears from them: where nothing of these is lost, nothing is lost between any two. Overlays are not part of this.
bool Claims::ends_pass(const Exchange& exchange, const std::vector<Connection>& connections) {
  struct Peers {
    Set as_sources = nothing;
    Set as_destinations = nothing;
  };
  std::map<End, Peers> of_senders, of_receivers;
  const auto add = [&](Peers& peers, End end) {
    peers.as_sources = sets_.either(peers.as_sources, network_.from(end));
    peers.as_destinations = sets_.either(peers.as_destinations, network_.to(end));
  };
  for (const auto& [from, to] : connections) {
    add(of_senders[from], to);
    add(of_receivers[to], from);
  }
  const auto passes = [&](const auto& one, Set sent, Set heard) {
    const auto& [end, peers] = one;
    const auto leaving = sets_.both(sets_.both(network_.from(end), peers.as_destinations), sent);
    const auto arriving = sets_.both(sets_.both(peers.as_sources, network_.to(end)), heard);
    return meets_neighbours(end) && network_.unsent(end, leaving) == nothing &&
           network_.unheard(end, arriving) == nothing;
  };
  const auto requests = sets_.either(exchange.first, exchange.later);
  return std::all_of(of_senders.begin(), of_senders.end(),
                     [&](const auto& one) { return passes(one, requests, exchange.reply); }) &&
         std::all_of(of_receivers.begin(), of_receivers.end(),
                     [&](const auto& one) { return passes(one, exchange.reply, requests); });
}

void Claims::check_works() {
  for (const auto& flow : topology_.flows) {
    const auto packets = exchange(flow);
    const auto pairs = connections(flow);
    const bool all_pass = ends_pass(packets, pairs);
    report.claim_count += pairs.size();
    for (const auto& connection : pairs) {
      auto found = all_pass ? broken_below(flow, connection) : broken(flow, packets, connection);
      if (found) report.violations.push_back(*std::move(found));
    }
  }
  // These need one way that works, for each two hosts.
  for (const auto& flow : topology_.always) {
    const auto packets = exchange(flow);
    std::map<std::pair<std::size_t, std::size_t>, std::optional<Violation>> worst;
    for (const auto& connection : connections(flow)) {
      const std::pair key{connection.from.host, connection.to.host};
      auto found = broken(flow, packets, connection);
      const auto known = worst.find(key);
      if (known == worst.end() || !found) worst[key] = std::move(found);
    }
    report.claim_count += worst.size();
    for (auto& [key, found] : worst)
      if (found) report.violations.push_back(*std::move(found));
  }
}

}  // namespace ingot::check
