#include "network.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ingot::check {
namespace {

const IpRange link_local = *IpRange::parse("fe80::/10");
const IpRange multicast_v4 = *IpRange::parse("224.0.0.0/4");
const IpRange broadcast_v4 = *IpRange::parse("255.255.255.255");
const IpRange multicast_v6 = *IpRange::parse("ff00::/8");

}  // namespace

Network::Network(const Topology& topology) : topology_(topology), packets_(std::make_unique<PacketSets>()) {
  auto& sets = *packets_;
  // Linux never tracks neighbour discovery and multicast listeners (nf_conntrack_proto_icmpv6.c, noct_valid_new).
  const auto untracked =
      sets.both(sets.protocol(protocol::icmpv6),
                sets.either(sets.between(field::destination_port, 130, 137), sets.equal(field::destination_port, 143)));
  const auto tracked = sets.without(sets.between(field::state, 0, static_cast<Wide>(PacketState::fresh)), untracked);
  universe_ =
      sets.both(sets.well_formed(), sets.either(tracked, sets.both(untracked, sets.state(PacketState::untracked))));
  for (const auto& one : topology.hosts) {
    firewalls_.push_back(std::make_unique<Firewall>(sets, one));
    auto& gates = gates_.emplace_back(one.interfaces.size());
    for (std::size_t i = 0; i < one.interfaces.size(); ++i) {
      const auto& interface = one.interfaces[i];
      const auto own = [&](Field field) {
        return sets.without(sets.addresses(field, interface.addresses), sets.addresses(field, interface.except));
      };
      gates[i].own_source = own(field::source);
      gates[i].own_destination = own(field::destination);
    }
  }
}

std::size_t Network::rule_count() const {
  std::size_t count = 0;
  for (const auto& one : firewalls_) count += one->rule_count();
  return count;
}

std::vector<End> Network::ends_on(std::string_view segment) const {
  std::vector<End> out;
  for (std::size_t i = 0; i < topology_.hosts.size(); ++i)
    for (std::size_t j = 0; j < host(i).interfaces.size(); ++j)
      if (host(i).interfaces[j].segment == segment) out.push_back({i, j});
  return out;
}

/// A program may bind to any address of its host. An outside world has those of its place.
Set Network::sources(End end) {
  Set out = packets_->address(field::source, link_local);
  for (std::size_t i = 0; i < host(end.host).interfaces.size(); ++i)
    if (host(end.host).ruleset || i == end.interface) out = packets_->either(out, from({end.host, i}));
  return out;
}

/// By the most specific route, as the kernel decides.
Set Network::routed(End end) {
  Set out = nothing;
  const auto& interfaces = host(end.host).interfaces;
  for (const auto& route : interface(end).routes) {
    auto own = packets_->address(field::destination, route);
    for (std::size_t i = 0; i < interfaces.size(); ++i)
      for (const auto& other : interfaces[i].routes)
        if (i != end.interface && other != route && route.contains(other))
          own = packets_->without(own, packets_->address(field::destination, other));
    out = packets_->either(out, own);
  }
  return out;
}

Set Network::destinations(End end) {
  if (!host(end.host).ruleset) return everything;
  Set out = routed(end);
  for (const auto& range : {link_local, multicast_v4, broadcast_v4, multicast_v6})
    out = packets_->either(out, packets_->address(field::destination, range));
  return out;
}

void Network::open_gates(std::size_t index) {
  auto& firewall = *firewalls_[index];
  for (std::size_t i = 0; i < gates_[index].size(); ++i) {
    const End end{index, i};
    const auto& name = interface(end).name;
    auto& gate = gates_[index][i];
    const auto outgoing = packets_->both(universe_, packets_->both(destinations(end), sources(end)));
    gate.may_send = firewall.sent(outgoing, name, Bound::may);
    gate.must_send = firewall.is_open() ? firewall.sent(outgoing, name, Bound::must) : gate.may_send;
    gate.may_receive = firewall.received(universe_, name, Bound::may);
    gate.first_receive = first_of(gate.may_receive, index);
    gate.must_receive = firewall.is_open() ? firewall.received(universe_, name, Bound::must) : gate.may_receive;
  }
}

/// What the walks through rulesets left behind goes: sets that fit into caches are several times as fast.
void Network::collect() {
  std::vector<Set*> roots{&universe_};
  for (auto& one : firewalls_) one->keep(roots);
  for (auto& host : gates_)
    for (auto& gate : host)
      for (auto* set : {&gate.own_source, &gate.own_destination, &gate.may_send, &gate.must_send, &gate.may_receive,
                        &gate.first_receive, &gate.must_receive})
        roots.push_back(set);
  packets_->collect(roots);
}

/// Packets that may come first, for connection tracking of `host`: others belong to connections that were proven on
/// their own. Where a helper is at work, what is related may be a new connection.
Set Network::first_of(Set packets, std::size_t host) {
  auto states = packets_->either(packets_->state(PacketState::fresh), packets_->state(PacketState::invalid));
  states = packets_->either(states, packets_->state(PacketState::untracked));
  if (firewalls_[host]->has_helpers()) states = packets_->either(states, packets_->state(PacketState::related));
  return packets_->both(packets, states);
}

/// Two different nodes: one host may stand for many.
bool Network::can_meet(End a, End b) {
  if (a.host != b.host) return true;
  const auto& ranges = interface(a).addresses;
  return a.interface == b.interface && host(a.host).ruleset &&
         std::any_of(ranges.begin(), ranges.end(), [](const auto& one) { return one.first < one.last; });
}

/// What of an edge's packets the receiver's programs get.
Set Network::received(const Edge& edge) {
  const auto& to = edge.to;
  const auto& gate = gates_[to.host][to.interface];
  if (!firewalls_[to.host]->translates()) return packets_->both(edge.sent, first_of(gate.may_receive, to.host));
  const auto incoming = packets_->both(edge.sent, universe_);
  return first_of(firewalls_[to.host]->received(incoming, interface(to).name, Bound::may), to.host);
}

End Network::underlay(End end) const {
  const auto& interfaces = host(end.host).interfaces;
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const auto& each) { return each.name == interface(end).vxlan->underlay; });
  return {end.host, static_cast<std::size_t>(found - interfaces.begin())};
}

Set Network::carriers(End from, End to) {
  const auto& one = *interface(from).vxlan;
  const auto& other = *interface(to).vxlan;
  Set outer = packets_->service({protocol::udp, other.port, other.port});
  outer = packets_->both(outer, packets_->equal(field::vni, other.vni));
  outer = packets_->both(outer, packets_->addresses(field::source, one.vteps));
  return packets_->both(outer, packets_->addresses(field::destination, other.vteps));
}

/// Whether an overlay's packets find their way below.
bool Network::is_carried(End from, End to) {
  const auto& one = interface(from).vxlan;
  const auto& other = interface(to).vxlan;
  if (!one || !other) return true;
  const auto source = underlay(from), destination = underlay(to);
  const auto outer = carriers(from, to);
  const auto sent = packets_->forget(
      first_of(packets_->both(gates_[source.host][source.interface].may_send, outer), source.host), field::state);
  return packets_->both(
             sent, first_of(gates_[destination.host][destination.interface].may_receive, destination.host)) != nothing;
}

void Network::route_on(const Edge& edge, std::size_t router, std::size_t in) {
  constexpr std::size_t hop_cap = 8;
  if (edge.routers.size() >= hop_cap) return;
  const auto& name = host(router).interfaces[in].name;
  for (std::size_t out = 0; out < host(router).interfaces.size(); ++out) {
    const bool was_here = std::any_of(edge.routers.begin(), edge.routers.end(), [&](const auto& each) {
      return each.second == End{router, out};
    });
    if (was_here) continue;
    const auto& leaving = host(router).interfaces[out];
    auto packets = packets_->both(edge.sent, universe_);
    if (!firewalls_[router]->translates()) packets = packets_->both(packets, routed({router, out}));
    packets = first_of(firewalls_[router]->forwarded(packets, name, leaving.name, Bound::may), router);
    packets = packets_->both(packets_->forget(packets, field::state), routed({router, out}));
    if (packets == nothing) continue;
    auto next = edge;
    next.routers.emplace_back(End{router, in}, End{router, out});
    next.sent = packets;
    spread(std::move(next));
  }
}

/// From the last place of an edge to everybody on that segment.
void Network::spread(Edge edge) {
  const auto at = edge.routers.empty() ? edge.from : edge.routers.back().second;
  for (const auto& to : ends_on(interface(at).segment)) {
    const bool turns_back = to == at && !edge.routers.empty();
    if (turns_back || !can_meet(edge.from, to) || !is_carried(at, to)) continue;
    if (!host(edge.from.host).ruleset && !host(to.host).ruleset) continue;
    edge.to = to;
    edge.packets = received(edge);
    if (edge.packets != nothing) edges_.push_back(edge);
    if (host(to.host).forwards) route_on(edge, to.host, to.interface);
  }
}

// A kernel takes VXLAN packets from anybody; only rules below the overlay keep them out. Whoever may send one can put
// into it whatever he likes.
void Network::add_rogues() {
  std::vector<Edge> found;
  for (const auto& edge : edges_) {
    const auto& below = interface(edge.to);
    for (std::size_t i = 0; i < host(edge.to.host).interfaces.size(); ++i) {
      const auto& overlay = host(edge.to.host).interfaces[i];
      if (!overlay.vxlan || overlay.vxlan->underlay != below.name) continue;
      const auto members = ends_on(overlay.segment);
      if (std::any_of(members.begin(), members.end(), [&](End end) { return end.host == edge.from.host; })) continue;
      const auto outer = packets_->both(packets_->service({protocol::udp, overlay.vxlan->port, overlay.vxlan->port}),
                                        packets_->equal(field::vni, overlay.vxlan->vni));
      if (packets_->both(edge.packets, outer) == nothing) continue;
      Edge rogue{edge.from, {edge.to.host, i}, edge.routers, true, nothing, everything};
      rogue.packets = received(rogue);
      if (rogue.packets != nothing) found.push_back(std::move(rogue));
    }
  }
  edges_.insert(edges_.end(), found.begin(), found.end());
}

Result<void> Network::explore() {
  for (std::size_t i = 0; i < topology_.hosts.size(); ++i) {
    open_gates(i);
    collect();
  }
  for (std::size_t i = 0; i < topology_.hosts.size(); ++i)
    for (std::size_t j = 0; j < host(i).interfaces.size(); ++j) {
      Edge edge;
      edge.from = {i, j};
      edge.sent = packets_->forget(first_of(gates_[i][j].may_send, i), field::state);
      if (edge.sent != nothing) spread(std::move(edge));
    }
  add_rogues();
  if (!packets_->is_full()) return {};
  return fail(ErrorCode::limit, "the rulesets are too complex for the memory that the proof may use");
}

Set Network::unsent(End end, Set packets) {
  return packets_->without(packets, gates_[end.host][end.interface].must_send);
}

Set Network::unheard(End end, Set packets) {
  return packets_->without(packets, gates_[end.host][end.interface].must_receive);
}

Set Network::lost(End from, End to, Set packets) {
  return packets_->either(unsent(from, packets), unheard(to, packets));
}

bool Network::can_send(End end, Set packets) {
  return packets_->both(gates_[end.host][end.interface].may_send, packets) != nothing;
}

bool Network::can_hear(End end, Set packets) {
  return packets_->both(gates_[end.host][end.interface].may_receive, packets) != nothing;
}

Hop Network::hop(std::size_t index, std::string what) { return {host(index).name, std::move(what), {}}; }

Step Network::step(const Edge& edge, const Packet& packet) {
  Step out{host(edge.from.host).name, host(edge.to.host).name, interface(edge.to).segment, packet, {}, {}};
  auto& sets = *packets_;
  const auto one = sets.only(packet);
  const auto wire = sets.forget(one, field::state);
  const auto walk = [&](std::size_t index, std::string what, const auto& pass) {
    auto passed = hop(index, std::move(what));
    firewalls_[index]->record(&passed.rules);
    const auto packets = pass(*firewalls_[index]);
    firewalls_[index]->record(nullptr);
    if (host(index).ruleset) out.hops.push_back(std::move(passed));
    return packets;
  };
  Set at = wire;
  if (edge.is_rogue) {
    const auto& vxlan = *interface(edge.to).vxlan;
    out.note = fmt::format("inside a VXLAN packet (udp/{}, VNI {}) from outside of the overlay", vxlan.port, vxlan.vni);
  } else {
    // The sender's own state: new, unless only something else is let out.
    const auto own = sets.both(wire, first_of(gates_[edge.from.host][edge.from.interface].may_send, edge.from.host));
    const auto chosen = own == nothing ? sets.both(wire, sets.state(PacketState::fresh)) : sets.only(sets.example(own));
    at = walk(edge.from.host, "output to " + interface(edge.from).name,
              [&](Firewall& each) { return each.sent(chosen, interface(edge.from).name, Bound::may); });
  }
  for (const auto& hop : edge.routers) {
    const auto &in = hop.first, &router = hop.second;
    const auto arriving = sets.both(sets.forget(at, field::state), sets.state(PacketState::fresh));
    at = walk(router.host, fmt::format("forward from {} to {}", interface(in).name, interface(router).name),
              [&](Firewall& each) {
                return each.forwarded(arriving, interface(in).name, interface(router).name, Bound::may);
              });
  }
  const auto arriving = sets.both(sets.forget(at, field::state), sets.state(packet.state));
  (void)walk(edge.to.host, "input from " + interface(edge.to).name,
             [&](Firewall& each) { return each.received(arriving, interface(edge.to).name, Bound::may); });
  return out;
}

}  // namespace ingot::check
