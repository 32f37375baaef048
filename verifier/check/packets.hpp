// Sets of IP packets: which bits stand for what. ICMP types and codes take the place of the ports that ICMP has not.
#pragma once

#include "bdd.hpp"
#include "ingot/check/segment.hpp"
#include "ingot/model/address.hpp"

namespace ingot::check {

// Order of the bits: what rules ask first and most comes first. IPv4 addresses use the first 32 bits of theirs.
namespace field {
inline constexpr Field family{0, 1};  // 1: IPv6
inline constexpr Field protocol{1, 8};
inline constexpr Field state{9, 3};
inline constexpr Field tcp_flags{12, 8};
inline constexpr Field destination_port{20, 16};  // ICMP: type
inline constexpr Field destination{36, 128};
inline constexpr Field source{164, 128};
inline constexpr Field source_port{292, 16};  // ICMP: code
inline constexpr Field vni{308, 24};          // of VXLAN packets
}  // namespace field

namespace protocol {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, icmpv6 = 58;
}

class PacketSets : public Bdd {
 public:
  Set family(IpFamily family) { return equal(field::family, family == IpFamily::v6 ? 1 : 0); }
  Set protocol(std::uint8_t number) { return equal(field::protocol, number); }
  Set state(PacketState state) { return equal(field::state, static_cast<Wide>(state)); }
  /// Packets of the range's family whose field (source, destination) is in it.
  Set address(Field field, const IpRange& range);
  Set addresses(Field field, const std::vector<IpRange>& ranges);
  /// Packets of a protocol that has ports (TCP, UDP, UDP-Lite, SCTP, DCCP).
  Set with_ports();
  /// TCP, UDP and so on to these ports, or these types of ICMP; no statement about addresses.
  Set service(const Service& service);
  /// Packets that there can be.
  Set well_formed();
  /// The packet of this set that people find easiest to read. Precondition: not empty.
  Packet example(Set set);
  /// This packet and no other.
  Set only(const Packet& packet);

 private:
  bool family_is_v6(Set set);
};

}  // namespace ingot::check
