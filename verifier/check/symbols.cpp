#include "symbols.hpp"

#include <algorithm>
#include <array>

namespace ingot::check {
namespace {

using codec::NftValue;

struct Symbol {
  SymbolKind kind;
  std::string_view name;
  std::uint32_t number;
};

// nft(8), "DATA TYPES" and `nft describe`; protocols from /etc/protocols of Debian.
constexpr auto symbols = std::to_array<Symbol>({
    {SymbolKind::protocol, "icmp", 1},
    {SymbolKind::protocol, "igmp", 2},
    {SymbolKind::protocol, "tcp", 6},
    {SymbolKind::protocol, "udp", 17},
    {SymbolKind::protocol, "dccp", 33},
    {SymbolKind::protocol, "gre", 47},
    {SymbolKind::protocol, "esp", 50},
    {SymbolKind::protocol, "ah", 51},
    {SymbolKind::protocol, "icmpv6", 58},
    {SymbolKind::protocol, "ipv6-icmp", 58},
    {SymbolKind::protocol, "ospf", 89},
    {SymbolKind::protocol, "vrrp", 112},
    {SymbolKind::protocol, "comp", 108},
    {SymbolKind::protocol, "sctp", 132},
    {SymbolKind::protocol, "udplite", 136},
    {SymbolKind::nf_family, "ipv4", 2},
    {SymbolKind::nf_family, "ipv6", 10},
    {SymbolKind::ether_type, "ip", 0x0800},
    {SymbolKind::ether_type, "arp", 0x0806},
    {SymbolKind::ether_type, "vlan", 0x8100},
    {SymbolKind::ether_type, "8021q", 0x8100},
    {SymbolKind::ether_type, "ip6", 0x86dd},
    {SymbolKind::tcp_flag, "fin", 0x01},
    {SymbolKind::tcp_flag, "syn", 0x02},
    {SymbolKind::tcp_flag, "rst", 0x04},
    {SymbolKind::tcp_flag, "psh", 0x08},
    {SymbolKind::tcp_flag, "ack", 0x10},
    {SymbolKind::tcp_flag, "urg", 0x20},
    {SymbolKind::tcp_flag, "ecn", 0x40},
    {SymbolKind::tcp_flag, "cwr", 0x80},
    {SymbolKind::icmp_type, "echo-reply", 0},
    {SymbolKind::icmp_type, "destination-unreachable", 3},
    {SymbolKind::icmp_type, "source-quench", 4},
    {SymbolKind::icmp_type, "redirect", 5},
    {SymbolKind::icmp_type, "echo-request", 8},
    {SymbolKind::icmp_type, "router-advertisement", 9},
    {SymbolKind::icmp_type, "router-solicitation", 10},
    {SymbolKind::icmp_type, "time-exceeded", 11},
    {SymbolKind::icmp_type, "parameter-problem", 12},
    {SymbolKind::icmp_type, "timestamp-request", 13},
    {SymbolKind::icmp_type, "timestamp-reply", 14},
    {SymbolKind::icmp_type, "info-request", 15},
    {SymbolKind::icmp_type, "info-reply", 16},
    {SymbolKind::icmp_type, "address-mask-request", 17},
    {SymbolKind::icmp_type, "address-mask-reply", 18},
    {SymbolKind::icmpv6_type, "destination-unreachable", 1},
    {SymbolKind::icmpv6_type, "packet-too-big", 2},
    {SymbolKind::icmpv6_type, "time-exceeded", 3},
    {SymbolKind::icmpv6_type, "parameter-problem", 4},
    {SymbolKind::icmpv6_type, "echo-request", 128},
    {SymbolKind::icmpv6_type, "echo-reply", 129},
    {SymbolKind::icmpv6_type, "mld-listener-query", 130},
    {SymbolKind::icmpv6_type, "mld-listener-report", 131},
    {SymbolKind::icmpv6_type, "mld-listener-done", 132},
    {SymbolKind::icmpv6_type, "mld-listener-reduction", 132},
    {SymbolKind::icmpv6_type, "nd-router-solicit", 133},
    {SymbolKind::icmpv6_type, "nd-router-advert", 134},
    {SymbolKind::icmpv6_type, "nd-neighbor-solicit", 135},
    {SymbolKind::icmpv6_type, "nd-neighbor-advert", 136},
    {SymbolKind::icmpv6_type, "nd-redirect", 137},
    {SymbolKind::icmpv6_type, "router-renumbering", 138},
    {SymbolKind::icmpv6_type, "ind-neighbor-solicit", 141},
    {SymbolKind::icmpv6_type, "ind-neighbor-advert", 142},
    {SymbolKind::icmpv6_type, "mld2-listener-report", 143},
    {SymbolKind::ct_state, "invalid", 1},
    {SymbolKind::ct_state, "established", 2},
    {SymbolKind::ct_state, "related", 4},
    {SymbolKind::ct_state, "new", 8},
    {SymbolKind::ct_state, "untracked", 64},
});

std::optional<Wide> number_of_address(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) return std::nullopt;
  Wide value = 0;
  for (std::size_t i = 0; i < address_bits(address->family) / 8; ++i) value = value << 8 | address->bytes[i];
  return value;
}

}  // namespace

std::uint32_t ct_state_bit(PacketState state) {
  constexpr std::array<std::uint32_t, 5> bits = {1, 2, 4, 8, 64};
  return bits[static_cast<std::size_t>(state)];
}

std::optional<Wide> symbol(SymbolKind kind, std::string_view name) {
  if (kind == SymbolKind::address) return number_of_address(name);
  const auto found = std::find_if(symbols.begin(), symbols.end(),
                                  [&](const auto& one) { return one.kind == kind && one.name == name; });
  if (found == symbols.end()) return std::nullopt;
  return Wide{found->number};
}

std::optional<std::pair<Wide, Wide>> numbers(SymbolKind kind, const NftValue& value) {
  if (value.kind == NftValue::Kind::prefix) {
    const auto address = IpAddress::parse(value.text);
    const auto first = number_of_address(value.text);
    if (kind != SymbolKind::address || !address || value.number > address_bits(address->family)) return std::nullopt;
    const auto host_bits = address_bits(address->family) - value.number;
    const Wide rest = host_bits == 0 ? Wide{0} : ~Wide{0} >> (128 - host_bits);
    return std::pair{*first & ~rest, *first | rest};
  }
  if (value.kind == NftValue::Kind::range && value.parts.size() == 2) {
    const auto first = numbers(kind, value.parts[0]), last = numbers(kind, value.parts[1]);
    if (!first || !last) return std::nullopt;
    return std::pair{first->first, last->second};
  }
  const auto one = value.kind == NftValue::Kind::flags ? bits(kind, value)
                   : value.kind == NftValue::Kind::number
                       ? std::optional<Wide>(value.number)
                       : (value.kind == NftValue::Kind::text ? symbol(kind, value.text) : std::nullopt);
  if (!one) return std::nullopt;
  return std::pair{*one, *one};
}

std::optional<Wide> bits(SymbolKind kind, const NftValue& value) {
  if (value.kind == NftValue::Kind::number) return Wide{value.number};
  if (value.kind == NftValue::Kind::text) return symbol(kind, value.text);
  if (value.kind != NftValue::Kind::flags) return std::nullopt;
  Wide out = 0;
  for (const auto& part : value.parts) {
    const auto one = bits(kind, part);
    if (!one) return std::nullopt;
    out |= *one;
  }
  return out;
}

std::optional<std::uint32_t> symbol_bits(SymbolKind kind, const NftValue& value) {
  const auto out = bits(kind, value);
  if (!out || *out > UINT32_MAX) return std::nullopt;
  return static_cast<std::uint32_t>(*out);
}

}  // namespace ingot::check
