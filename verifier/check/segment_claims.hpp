// The claims of a topology, held against its network.
#pragma once

#include <map>

#include "network.hpp"

namespace ingot::check {

class Claims {
 public:
  Claims(const Topology& topology, Network& network);

  /// Each flow's packets pass, with their replies; so do those of `always`.
  void check_works();
  /// Nothing passes that is no flow.
  void check_closed();
  /// Nothing passes that must never.
  void check_never();
  /// Who reaches whom.
  void tabulate();

  SegmentReport report;

 private:
  /// A flow between two ends.
  struct Connection {
    End from;
    End to;
  };
  /// The packets of a flow's connections, whatever their ends.
  struct Exchange {
    Set first = nothing;
    Set later = nothing;
    Set reply = nothing;
  };
  std::vector<Connection> connections(const Flow& flow);
  Exchange exchange(const Flow& flow);
  Set requests(const Flow& flow);
  Set replies(const Flow& flow);
  bool meets_neighbours(End end);
  /// Whether no packet of any of these connections can be lost at its ends. False: some may be.
  bool ends_pass(const Exchange& exchange, const std::vector<Connection>& connections);
  std::optional<Violation> broken(const Flow& flow, const Exchange& exchange, const Connection& connection);
  std::optional<Violation> broken_below(const Flow& flow, const Connection& connection);
  std::optional<Violation> unknown_neighbours(const Flow& flow, const Connection& connection, Set requests);
  Violation lost_packet(const Flow& flow, End from, End to, Set lost, std::string what);
  Set allowed(const Edge& edge);
  Set beyond_infrastructure(const Edge& edge);
  Set services(const std::vector<Service>& services);
  Step step_of(const Edge& edge, Set wanted);
  void check_direct(const Never& never);
  void check_through_hosts(const Never& never);
  void add_path(const Never& never, const std::vector<const Edge*>& path);
  [[nodiscard]] bool is_named(const std::vector<std::string>& names, std::size_t host) const;

  const Topology& topology_;
  Network& network_;
  PacketSets& sets_;
  Set infrastructure_ = nothing;
  Set solicitations_ = nothing;  ///< of neighbours
  Set advertisements_ = nothing;
  std::map<End, bool> meets_neighbours_;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<const Flow*>> flows_;  ///< by both hosts
};

/// The destination ports, protocol by protocol, that packets have; at most 32 entries.
std::vector<Service> services_of(PacketSets& sets, Set packets);

}  // namespace ingot::check
