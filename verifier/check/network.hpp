// All hosts and the networks between them: who can send what to whom.
#pragma once

#include <memory>

#include "firewall.hpp"

namespace ingot::check {

/// One interface of one host, by their places in the topology.
struct End {
  std::size_t host = 0;
  std::size_t interface = 0;
  auto operator<=>(const End&) const = default;
};

/// Packets of connections that one host may open to another.
struct Edge {
  End from;
  End to;
  std::vector<std::pair<End, End>> routers;  ///< in between: where a packet comes in and where it leaves
  bool is_rogue = false;                     ///< inside a VXLAN packet that comes from outside of the overlay
  Set packets = nothing;                     ///< as they arrive, with the receiver's state
  Set sent = nothing;                        ///< as they leave, whatever the sender's state
};

class Network {
 public:
  explicit Network(const Topology& topology);

  /// Works out every edge. Error (limit) when the sets outgrow memory.
  Result<void> explore();
  [[nodiscard]] const std::vector<Edge>& edges() const { return edges_; }

  /// Of the packets of a connection (with the state in them), those that an end is not sure to send; or, when they
  /// arrive, not sure to hear; and those that may be lost between two ends of one segment in either way.
  Set unsent(End end, Set packets);
  Set unheard(End end, Set packets);
  Set lost(End from, End to, Set packets);
  /// Whether some of these packets may leave an end, or reach its programs.
  bool can_send(End end, Set packets);
  bool can_hear(End end, Set packets);
  /// How one packet travels along an edge.
  Step step(const Edge& edge, const Packet& packet);

  /// The interface below a VXLAN one. Precondition: it is one, and check_segments() found its underlay.
  [[nodiscard]] End underlay(End end) const;
  /// The VXLAN packets that carry one end's packets to another's. Precondition: both are VXLAN interfaces.
  Set carriers(End from, End to);
  /// Packets with the sources that an end has on its own segment.
  [[nodiscard]] Set from(End end) const { return gates_[end.host][end.interface].own_source; }
  /// Packets with such destinations.
  [[nodiscard]] Set to(End end) const { return gates_[end.host][end.interface].own_destination; }
  [[nodiscard]] const Host& host(std::size_t index) const { return topology_.hosts[index]; }
  [[nodiscard]] const Interface& interface(End end) const { return host(end.host).interfaces[end.interface]; }
  [[nodiscard]] std::vector<End> ends_on(std::string_view segment) const;
  [[nodiscard]] std::size_t rule_count() const;
  [[nodiscard]] PacketSets& packets() { return *packets_; }

 private:
  /// What one interface lets out and in, with all states of connection tracking.
  struct Gate {
    Set own_source = nothing;  ///< packets with the interface's addresses
    Set own_destination = nothing;
    Set may_send = nothing;
    Set must_send = nothing;
    Set may_receive = nothing;
    Set first_receive = nothing;  ///< of these, packets that may come first
    Set must_receive = nothing;
  };
  void open_gates(std::size_t host);
  void collect();
  Set sources(End end);
  Set destinations(End end);
  Set routed(End end);
  Set first_of(Set packets, std::size_t host);
  Set received(const Edge& edge);
  void spread(Edge edge);
  void route_on(const Edge& edge, std::size_t router, std::size_t in);
  bool can_meet(End a, End b);
  bool is_carried(End from, End to);
  void add_rogues();
  Hop hop(std::size_t host, std::string what);

  const Topology& topology_;
  std::unique_ptr<PacketSets> packets_;
  std::vector<std::unique_ptr<Firewall>> firewalls_;
  std::vector<std::vector<Gate>> gates_;
  Set universe_ = nothing;
  std::vector<Edge> edges_;
};

}  // namespace ingot::check
