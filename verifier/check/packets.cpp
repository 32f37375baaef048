#include "packets.hpp"

#include <fmt/format.h>

#include <initializer_list>

namespace ingot::check {
namespace {

Wide number_of(const IpAddress& address) {
  Wide value = 0;
  for (std::size_t i = 0; i < address_bits(address.family) / 8; ++i) value = value << 8 | address.bytes[i];
  return value;
}

IpAddress address_of(IpFamily family, Wide value) {
  IpAddress out{family, {}};
  for (std::size_t i = address_bits(family) / 8; i-- > 0; value >>= 8)
    out.bytes[i] = static_cast<std::uint8_t>(value & 0xff);
  return out;
}

Field part_of(Field field, IpFamily family) { return {field.first, static_cast<std::uint16_t>(address_bits(family))}; }

std::string_view state_name(PacketState state) {
  constexpr std::string_view names[] = {"invalid", "established", "related", "new", "untracked"};
  return names[static_cast<std::size_t>(state)];
}

std::string protocol_name(std::uint8_t number) {
  switch (number) {
    case protocol::icmp:
      return "icmp";
    case protocol::tcp:
      return "tcp";
    case protocol::udp:
      return "udp";
    case protocol::icmpv6:
      return "icmpv6";
    default:
      return fmt::format("protocol {}", number);
  }
}

bool is_icmp(std::uint8_t number) { return number == protocol::icmp || number == protocol::icmpv6; }
bool has_ports(std::uint8_t number) {
  return number == protocol::tcp || number == protocol::udp || number == 33 || number == 132 || number == 136;
}

}  // namespace

Set PacketSets::address(Field field, const IpRange& range) {
  return both(family(range.family()),
              between(part_of(field, range.family()), number_of(range.first), number_of(range.last)));
}

Set PacketSets::addresses(Field field, const std::vector<IpRange>& ranges) {
  Set out = nothing;
  for (const auto& range : ranges) out = either(out, address(field, range));
  return out;
}

Set PacketSets::with_ports() {
  Set out = nothing;
  for (const auto number : {6, 17, 33, 132, 136}) out = either(out, equal(field::protocol, static_cast<Wide>(number)));
  return out;
}

Set PacketSets::service(const Service& service) {
  if (!service.protocol) return everything;
  return both(protocol(*service.protocol), between(field::destination_port, service.first, service.last));
}

// Fields that a protocol has not are 0, so that no packet is counted twice.
Set PacketSets::well_formed() {
  const auto no_ports = both(equal(field::destination_port, 0), equal(field::source_port, 0));
  const auto icmp = both(either(protocol(protocol::icmp), protocol(protocol::icmpv6)),
                         both(between(field::destination_port, 0, 255), between(field::source_port, 0, 255)));
  const auto with = with_ports();
  const auto others =
      both(none_of(either(with, either(protocol(protocol::icmp), protocol(protocol::icmpv6)))), no_ports);
  Set out = either(with, either(icmp, others));
  out = both(out, either(protocol(protocol::tcp), equal(field::tcp_flags, 0)));
  return both(out, either(protocol(protocol::udp), equal(field::vni, 0)));
}

bool PacketSets::family_is_v6(Set set) { return both(set, family(IpFamily::v4)) == nothing; }

Packet PacketSets::example(Set set) {
  const auto prefer = [&](Set wish) {
    if (const auto narrowed = both(set, wish); narrowed != nothing) set = narrowed;
  };
  prefer(state(PacketState::fresh));
  prefer(both(protocol(protocol::tcp), equal(field::tcp_flags, 2)));
  prefer(protocol(protocol::udp));
  prefer(either(protocol(protocol::icmp), protocol(protocol::icmpv6)));
  prefer(family(IpFamily::v4));
  // Unicast that a socket can use without more ado: no 0.0.0.0/8, ::, link-local or multicast.
  for (const auto address : {field::destination, field::source})
    prefer(between({address.first, 8}, 1, family_is_v6(set) ? 0xfd : 0xdf));
  // Nor, in most networks, a broadcast.
  if (!family_is_v6(set))
    for (const auto address : {field::destination, field::source})
      prefer(between({static_cast<std::uint16_t>(address.first + 24), 8}, 1, 254));
  prefer(between(field::destination_port, 1, UINT16_MAX));
  prefer(between(field::source_port, 40000, 60000));
  Packet out;
  const auto family = least(set, field::family) == 0 ? IpFamily::v4 : IpFamily::v6;
  const auto take = [&](Field one) {
    const auto value = least(set, one);
    set = both(set, equal(one, value));
    return value;
  };
  set = both(set, this->family(family));
  out.protocol = static_cast<std::uint8_t>(take(field::protocol));
  out.state = static_cast<PacketState>(take(field::state));
  out.tcp_flags = static_cast<std::uint8_t>(take(field::tcp_flags));
  out.destination_port = static_cast<std::uint16_t>(take(field::destination_port));
  out.destination = address_of(family, take(part_of(field::destination, family)));
  // Nobody sends to himself over a network.
  const auto own = both(this->family(family), equal(part_of(field::source, family), number_of(out.destination)));
  if (const auto others = without(set, own); others != nothing) set = others;
  // Where nodes have one number on all of their networks, an odd one sends to an even one.
  const Field last_bit{static_cast<std::uint16_t>(field::source.first + address_bits(family) - 1), 1};
  prefer(equal(last_bit, ~out.destination.bytes[address_bits(family) / 8 - 1] & 1));
  out.source = address_of(family, take(part_of(field::source, family)));
  out.source_port = static_cast<std::uint16_t>(take(field::source_port));
  if (out.protocol == protocol::udp && forget(set, field::vni) != set)
    out.vni = static_cast<std::uint32_t>(take(field::vni));
  return out;
}

Set PacketSets::only(const Packet& packet) {
  const IpRange source{packet.source, packet.source}, destination{packet.destination, packet.destination};
  Set out = both(address(field::source, source), address(field::destination, destination));
  out = both(out, both(protocol(packet.protocol), state(packet.state)));
  out = both(out, equal(field::tcp_flags, packet.tcp_flags));
  out = both(out, both(equal(field::destination_port, packet.destination_port),
                       equal(field::source_port, packet.source_port)));
  if (packet.vni) out = both(out, equal(field::vni, *packet.vni));
  return out;
}

std::string to_text(const Packet& packet) {
  const auto end = [&](const IpAddress& address, std::uint16_t port) {
    if (!has_ports(packet.protocol)) return to_text(address);
    return address.family == IpFamily::v6 ? fmt::format("[{}]:{}", to_text(address), port)
                                          : fmt::format("{}:{}", to_text(address), port);
  };
  auto out = fmt::format("{} {} > {}", protocol_name(packet.protocol), end(packet.source, packet.source_port),
                         end(packet.destination, packet.destination_port));
  if (is_icmp(packet.protocol)) out += fmt::format(", type {} code {}", packet.destination_port, packet.source_port);
  if (packet.vni) out += fmt::format(", VNI {}", *packet.vni);
  return fmt::format("{}, {}", out, state_name(packet.state));
}

}  // namespace ingot::check
