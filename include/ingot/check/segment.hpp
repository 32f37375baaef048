// Segmentation, proven: from the rulesets that kernels hold and the networks between them to what can reach what.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "ingot/codec/nft.hpp"
#include "ingot/model/address.hpp"

namespace ingot::check {

/// What connection tracking says of a packet (nft(8), "CT EXPRESSIONS").
enum class PacketState { invalid, established, related, fresh, untracked };

/// One packet, as a witness: written so that somebody can send it.
struct Packet {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;           ///< IANA number
  std::uint16_t source_port = 0;       ///< ICMP: code
  std::uint16_t destination_port = 0;  ///< ICMP: type
  std::uint8_t tcp_flags = 0;
  PacketState state = PacketState::fresh;
  std::optional<std::uint32_t> vni;  ///< of VXLAN packets, when it matters
  bool operator==(const Packet&) const = default;
};
/// "tcp 10.0.0.1:40000 > 10.0.0.2:22, new".
std::string to_text(const Packet& packet);

/// Destination ports of a protocol, or types of ICMP (1) or ICMPv6 (58).
struct Service {
  std::optional<std::uint8_t> protocol;  ///< nothing: any
  std::uint16_t first = 0;
  std::uint16_t last = UINT16_MAX;
  bool operator==(const Service&) const = default;
};

/// "tcp/443", "udp/5000-5010", "icmp/8", "anything".
std::string to_text(const Service& service);

/// One end of a host on one network.
struct Interface {
  std::string name;
  std::string segment;             ///< the broadcast domain it is on
  std::vector<IpRange> addresses;  ///< of all nodes that the host stands for; each also has a link-local IPv6 address
  std::vector<IpRange> except;     ///< of these addresses, those that it has not
  std::vector<IpRange> routes;     ///< destinations that leave here, on-link ones included
  struct Vxlan {
    std::string underlay;  ///< the interface of the same host that carries it
    std::uint16_t port = 4789;
    std::uint32_t vni = 0;
    std::vector<IpRange> vteps;  ///< the host's own
  };
  std::optional<Vxlan> vxlan;
};

/// All nodes of one role, or an outside world: nodes that a ruleset does not bind.
struct Host {
  std::string name;
  std::vector<Interface> interfaces;
  bool forwards = false;
  /// Nothing: an outside world, whose packets have any source among its addresses and which takes everything.
  std::optional<codec::NftRuleset> ruleset;
};

/// Connections that must work, and may be.
struct Flow {
  std::string name;
  std::vector<std::string> from;
  std::vector<std::string> to;
  std::string segment;  ///< empty: any of those that both are on
  std::vector<Service> services;
};

/// What every network needs to work (neighbour discovery, DHCP): anybody's, on every segment; may be, must not.
struct Infrastructure {
  Service service;
  std::vector<IpRange> to;  ///< empty: any destination
};

/// What nobody may do.
struct Never {
  std::string name;
  std::vector<std::string> from;
  std::vector<std::string> to;
  std::vector<Service> services;  ///< empty: any
  std::string segment;            ///< empty: any
  /// Also when hosts in between are taken over, one after the other, each by a connection that the one before may open.
  bool through_hosts = false;
  std::vector<std::string> trusted;  ///< hosts that are taken not to be taken over
};

struct Topology {
  std::vector<Host> hosts;
  std::vector<Flow> flows;   ///< all connections that there may be; each must work, both families where both ends have them
  std::vector<Flow> always;  ///< must work, whether or not they are flows
  std::vector<Infrastructure> infrastructure;
  std::vector<Never> never;
};

/// What a packet met at one host.
struct RuleHit {
  std::string chain;         ///< "inet filter input"
  std::uint64_t handle = 0;  ///< 0: the chain's policy
  std::string text;
};
struct Hop {
  std::string host;
  std::string hook;  ///< "output to storage", "input from storage"
  std::vector<RuleHit> rules;
};
/// One connection from host to host.
struct Step {
  std::string from;
  std::string to;
  std::string segment;
  Packet packet;
  std::vector<Hop> hops;
  std::string note;  ///< "inside VXLAN 100, by udp/4789 from outside of it"
};

enum class ViolationKind {
  forbidden,   ///< a Never is broken by a packet
  not_a_flow,  ///< a packet passes that belongs to no flow
  broken,      ///< a packet of a flow does not pass
};
struct Violation {
  ViolationKind kind{};
  std::string claim;
  std::string text;
  std::vector<Step> steps;  ///< more than one: through hosts in between
};
std::string to_text(ViolationKind kind);

/// Who reaches whom, as a table.
struct Reach {
  std::string from;
  std::string to;
  std::string segment;
  bool as_rogue = false;          ///< by a VXLAN packet from outside of the overlay
  std::vector<Service> services;  ///< at most 32
};

struct SegmentReport {
  std::vector<Violation> violations;
  std::vector<Reach> reach;                                  ///< direct
  std::vector<std::pair<std::string, std::string>> through;  ///< pairs only connected through other hosts
  std::size_t rule_count = 0;
  std::size_t claim_count = 0;
};

/// What becomes of one packet.
enum class Fate {
  passes,
  lost,
  depends,  ///< on what the model does not know: rates, marks, expressions that it has no idea of
};
/// Of one that comes in by an interface: do the host's own programs get it?
Fate fate_of_incoming(const Host& host, const std::string& interface, const Packet& packet);
/// Of one that the host itself sends: does it leave by this interface?
Fate fate_of_outgoing(const Host& host, const std::string& interface, const Packet& packet);

/// Errors: malformed (a flow or interface of something that is not there), limit (the sets outgrow memory).
Result<SegmentReport> check_segments(const Topology& topology);

/// For people.
std::string render_segments(const SegmentReport& report);

}  // namespace ingot::check
