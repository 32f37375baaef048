// The site: the networks that all profiles share, who is on them, what may flow and what must never. Written once
// (profiles/site.toml), checked when it is read, never parsed again downstream.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/model/address.hpp"

namespace ingot {

enum class PlaneKind {
  plain,  ///< untagged, on a link of its own
  vlan,   ///< IEEE 802.1Q on a link
  vxlan,  ///< RFC 7348 over another plane
};

/// How the nodes of a plane get their addresses.
enum class Addressing {
  node,  ///< each node has its own in /var/lib/ingot/network/addresses (persistent storage)
  dhcp,  ///< DHCPv4 for IPv4 subnets, DHCPv6 for IPv6 ones
};

/// One network, from the point of view of every node that is on it.
struct SitePlane {
  std::string name;  ///< [a-z][a-z0-9-]{0,14}: also the name of the interface of a VLAN or VXLAN
  PlaneKind kind = PlaneKind::plain;
  std::uint32_t id = 0;  ///< VLAN id (1 to 4094) or VNI (1 to 2^24 - 1); 0 for plain
  unsigned mtu = 1500;   ///< bytes of an IP packet
  std::vector<IpPrefix> subnets;
  std::vector<IpAddress> gateways;  ///< to external zones, at most one of a family; nothing else is routed
  Addressing addressing = Addressing::node;
  std::string link;              ///< the profile's [network.links] that carries it; empty for vxlan
  std::string underlay;          ///< vxlan: the plane that carries it
  std::uint16_t port = 0;        ///< vxlan: UDP port of the VTEPs
  std::vector<IpAddress> vteps;  ///< vxlan: addresses on the underlay of all who may send; complete
  bool rdma = false;             ///< members exchange RoCE (udp/4791); a flow of its own is made of it
  TextLocation at;
};
/// The interface that carries a plane on every node: the link for plain ones, else the plane's own name.
const std::string& interface_name(const SitePlane& plane);

/// A role's part in a plane.
struct SiteMember {
  std::string plane;
  std::vector<IpRange> addresses;  ///< of all nodes of the role; inside the plane's subnets, shared with no other role
  TextLocation at;
};

struct SiteRole {
  std::string name;
  std::vector<SiteMember> planes;
  bool ssh = true;  ///< it has an SSH daemon
  TextLocation at;

  [[nodiscard]] const SiteMember* on(std::string_view plane) const;
};

/// Others than nodes, reached through one plane.
struct SiteZone {
  std::string name;
  std::string plane;
  /// As written; what is a node's, another plane's or no host's is not part of it: see addresses_on(). Never empty.
  std::vector<IpPrefix> addresses;
  TextLocation at;
};

enum class FlowProtocol {
  tcp,
  udp,
  icmp,  ///< echo requests, ICMP and ICMPv6; ports are 0
};
/// "tcp/443", "udp/5000-5010", "icmp".
struct FlowPort {
  FlowProtocol protocol{};
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  static std::optional<FlowPort> parse(std::string_view text);
  [[nodiscard]] bool contains(const FlowPort& other) const;
  auto operator<=>(const FlowPort&) const = default;
};
std::string to_text(const FlowPort& port);
bool overlap(const FlowPort& a, const FlowPort& b);

/// Connections that any of `from` may open to any of `to`, over one plane that all are on. Replies follow.
struct SiteFlow {
  std::string name;               ///< unique
  std::vector<std::string> from;  ///< roles or zones
  std::vector<std::string> to;    ///< roles or zones, not zones on both sides
  std::string plane;
  std::vector<FlowPort> ports;
  std::string why;
  TextLocation at;
};

enum class PolicyKind {
  never,         ///< nothing goes from `from` to `to`, by any path
  only_from,     ///< `ports` of `to` are reached from `from` and from nobody else
  only_through,  ///< `ports` of `to` are reached from `through` (and from the node itself) and from nobody else
  always,        ///< every one of `from` reaches `ports` of `to`
  isolated,      ///< who is not of `to` neither sends to nor hears from `plane`
};
std::string to_text(PolicyKind kind);

/// A claim about the whole site. The parser refuses flows that contradict it outright; the proof tests it on rulesets.
struct SitePolicy {
  std::string name;  ///< unique
  PolicyKind kind{};
  std::vector<std::string> from;     ///< roles or zones: never, only_from, always
  std::vector<std::string> to;       ///< roles or zones; isolated: the plane's members
  std::vector<std::string> through;  ///< only_through: roles
  /// Roles that an attacker is taken not to pass: paths that enter one of them and leave it again by a connection of
  /// its own do not count. Without them, every host that can be reached counts as a stepping stone.
  std::vector<std::string> trusted;
  std::string plane;            ///< isolated; for the others empty: every plane
  std::vector<FlowPort> ports;  ///< empty: all
  std::string why;
  TextLocation at;
};

struct Site {
  std::string path;       ///< the file it came from
  std::string bastion;    ///< role from which all others take SSH; empty: none
  std::string collector;  ///< role that receives logs; empty: none
  std::string time;       ///< role that gives the time; empty: none
  std::vector<SitePlane> planes;
  std::vector<SiteRole> roles;
  std::vector<SiteZone> zones;
  std::vector<SiteFlow> flows;  ///< those of the file, then one for each RDMA plane
  std::vector<SitePolicy> policies;

  // Null when there is none of that name.
  [[nodiscard]] const SitePlane* plane(std::string_view name) const;
  [[nodiscard]] const SiteRole* role(std::string_view name) const;
  [[nodiscard]] const SiteZone* zone(std::string_view name) const;
};

/// UDP port of RoCE v2 (IANA "roce").
inline constexpr std::uint16_t roce_port = 4791;
/// UDP port of VXLAN (RFC 7348).
inline constexpr std::uint16_t vxlan_port = 4789;
/// Bytes that VXLAN adds to an inner IP packet: inner Ethernet 14, VXLAN 8, UDP 8, and the outer IP header of 20 or 40.
unsigned vxlan_overhead(IpFamily underlay);

/// Addresses of a role or zone on a plane; empty when it is not on it. No two of them share an address on a plane,
/// except zones with each other.
std::vector<IpRange> addresses_on(const Site& site, std::string_view endpoint, std::string_view plane);

}  // namespace ingot
