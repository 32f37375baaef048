#include "rule_match.hpp"

#include <algorithm>
#include <array>

#include "symbols.hpp"

namespace ingot::check {
namespace {

using codec::NftExpression;
using codec::NftOperator;
using codec::NftStatement;
using codec::NftValue;
using Kind = NftExpression::Kind;

const IpRange link_local{*IpAddress::parse("fe80::"), *IpAddress::parse("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};

bool is_interface_key(std::string_view key) {
  return key == "iifname" || key == "oifname" || key == "iif" || key == "oif";
}

/// Whether the answer differs from interface to interface.
bool needs_place(const NftExpression& left) {
  if (left.kind == Kind::meta) return is_interface_key(left.key);
  if (left.kind == Kind::fib) return true;
  return std::any_of(left.parts.begin(), left.parts.end(), needs_place);
}

/// nft's own rule: an asterisk at the end stands for any rest.
bool is_name_of(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with("\\*")) return name == std::string(pattern.substr(0, pattern.size() - 2)) + "*";
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

}  // namespace

/// An expression that is a number in some bits of the packet.
struct RuleMatcher::Lens {
  std::optional<Field> field;
  Match domain;
  SymbolKind symbols = SymbolKind::none;
};

RuleMatcher::Lens RuleMatcher::lens(const NftExpression& left) {
  Lens out;
  out.domain = domain(left);
  if (left.kind == Kind::meta && left.key == "l4proto") {
    out.field = field::protocol;
    out.symbols = SymbolKind::protocol;
  }
  if (left.kind == Kind::meta && (left.key == "nfproto" || left.key == "protocol")) {
    out.field = field::family;
    out.symbols = left.key == "nfproto" ? SymbolKind::nf_family : SymbolKind::ether_type;
  }
  if (left.kind == Kind::raw && left.key == "th" && left.length_bits == 16 && left.offset_bits <= 16)
    out.field = left.offset_bits == 0 ? field::source_port : field::destination_port;
  if (left.kind == Kind::raw && left.length_bits == 16 && left.offset_bits % 16 != 0) out.field.reset();
  if (left.kind != Kind::payload) return out;
  const auto& name = left.field;
  if (left.key == "ip" || left.key == "ip6") {
    const std::uint16_t bits = left.key == "ip" ? 32 : 128;
    if (name == "saddr") out.field = Field{field::source.first, bits};
    if (name == "daddr") out.field = Field{field::destination.first, bits};
    if (name == "saddr" || name == "daddr") out.symbols = SymbolKind::address;
    if (name == "protocol") {
      out.field = field::protocol;
      out.symbols = SymbolKind::protocol;
    }
    return out;
  }
  if (left.key == "ether" && name == "type") {
    out.field = field::family;
    out.symbols = SymbolKind::ether_type;
    return out;
  }
  if (name == "dport") out.field = field::destination_port;
  if (name == "sport") out.field = field::source_port;
  if (left.key == "tcp" && name == "flags") {
    out.field = field::tcp_flags;
    out.symbols = SymbolKind::tcp_flag;
  }
  if ((left.key == "icmp" || left.key == "icmpv6") && name == "type") {
    out.field = field::destination_port;
    out.symbols = left.key == "icmp" ? SymbolKind::icmp_type : SymbolKind::icmpv6_type;
  }
  if ((left.key == "icmp" || left.key == "icmpv6") && name == "code") out.field = field::source_port;
  if (left.key == "vxlan" && name == "vni") out.field = field::vni;
  return out;
}

Match RuleMatcher::domain(const NftExpression& left) {
  switch (left.kind) {
    case Kind::concat: {
      Match out = known(everything);
      for (const auto& part : left.parts) {
        const auto one = domain(part);
        out = {packets_.both(out.may, one.may), packets_.both(out.must, one.must)};
      }
      return out;
    }
    case Kind::masked:
      return left.parts.empty() ? Match{everything, nothing} : domain(left.parts.front());
    case Kind::raw:
      if (left.key == "th") return {everything, packets_.with_ports()};
      return {everything, nothing};
    case Kind::payload:
      break;
    case Kind::meta:
    case Kind::ct:
      return known(everything);
    case Kind::fib:
    case Kind::unknown:
      return {everything, nothing};
  }
  if (left.key == "ip") return known(packets_.family(IpFamily::v4));
  if (left.key == "ip6") return known(packets_.family(IpFamily::v6));
  if (left.key == "th") return {everything, packets_.with_ports()};
  if (left.key == "ether") return known(everything);
  if (left.key == "icmp") return known(packets_.both(packets_.protocol(protocol::icmp), packets_.family(IpFamily::v4)));
  if (left.key == "icmpv6")
    return known(packets_.both(packets_.protocol(protocol::icmpv6), packets_.family(IpFamily::v6)));
  if (left.key == "vxlan") return known(packets_.protocol(protocol::udp));
  if (const auto number = symbol(SymbolKind::protocol, left.key))
    return known(packets_.protocol(static_cast<std::uint8_t>(*number)));
  return {everything, nothing};
}

Match RuleMatcher::negated(const Match& match, const Match& domain) {
  return {packets_.without(domain.may, match.must), packets_.without(domain.must, match.may)};
}

Match RuleMatcher::of_lens(const Lens& lens, const NftValue& value) {
  const Match unclear{lens.domain.may, nothing};
  if (!lens.field) return unclear;
  const auto range = numbers(lens.symbols, value);
  if (!range) return unclear;
  Set set = nothing;
  if (lens.symbols == SymbolKind::nf_family || lens.symbols == SymbolKind::ether_type) {
    for (const auto family : {IpFamily::v4, IpFamily::v6}) {
      const Wide number = lens.symbols == SymbolKind::nf_family ? (family == IpFamily::v4 ? 2 : 10)
                                                                : (family == IpFamily::v4 ? 0x0800 : 0x86dd);
      if (range->first <= number && number <= range->second) set = packets_.either(set, packets_.family(family));
    }
  } else {
    set = packets_.between(*lens.field, range->first, range->second);
  }
  // Outside of what the expression is made for, it reads whatever is there.
  return {packets_.either(packets_.both(lens.domain.must, set), packets_.without(lens.domain.may, lens.domain.must)),
          packets_.both(lens.domain.must, set)};
}

Match RuleMatcher::of_state(const NftValue& value) {
  if (tracking_ == Tracking::not_yet) return {everything, nothing};
  const auto bits = symbol_bits(SymbolKind::ct_state, value);
  if (!bits) return {everything, nothing};
  Set out = nothing;
  for (const auto state : {PacketState::invalid, PacketState::established, PacketState::related, PacketState::fresh,
                           PacketState::untracked})
    if (*bits == ct_state_bit(state)) out = packets_.either(out, packets_.state(state));
  return known(out);
}

Match RuleMatcher::of_meta(const NftExpression& left, const NftValue& value, const Place& place) {
  if (!is_interface_key(left.key)) return of_lens(lens(left), value);
  const auto name = left.key.starts_with('i') ? place.in : place.out;
  if (value.kind != NftValue::Kind::text) return {everything, nothing};
  return known(is_name_of(value.text, name) ? everything : nothing);
}

// What fib says follows from the host's addresses and routes.
Match RuleMatcher::of_fib(const NftExpression& left, const NftValue& value, const Place& place) {
  if (left.key == "oif" && left.field == "iif saddr" && value.kind == NftValue::Kind::number) {
    for (const auto& one : host_.interfaces) {
      if (one.name != place.in) continue;
      const auto routed =
          packets_.either(packets_.addresses(field::source, one.routes), packets_.address(field::source, link_local));
      return known(value.number != 0 ? routed : packets_.none_of(routed));
    }
  }
  if (left.key == "type" && left.field == "daddr" && value.kind == NftValue::Kind::text && value.text == "local") {
    Set own = nothing;
    for (const auto& one : host_.interfaces)
      own = packets_.either(own, packets_.addresses(field::destination, one.addresses));
    return {packets_.either(own, packets_.address(field::destination, link_local)), own};
  }
  return {everything, nothing};
}

Match RuleMatcher::of_concat(const NftExpression& left, const NftValue& value, const Place& place) {
  if (value.kind != NftValue::Kind::concat || value.parts.size() != left.parts.size())
    return {domain(left).may, nothing};
  Match out = known(everything);
  // Interfaces first: most elements are of others.
  for (const bool interfaces : {true, false})
    for (std::size_t i = 0; i < left.parts.size() && out.may != nothing; ++i) {
      if (needs_place(left.parts[i]) != interfaces) continue;
      const auto one = equal(left.parts[i], value.parts[i], place);
      out = {packets_.both(out.may, one.may), packets_.both(out.must, one.must)};
    }
  return out;
}

Match RuleMatcher::of_masked(const NftExpression& left, const NftValue& value) {
  const Match unclear{domain(left).may, nothing};
  if (left.parts.empty()) return unclear;
  const auto inner = lens(left.parts.front());
  if (!inner.field || inner.symbols == SymbolKind::nf_family || inner.symbols == SymbolKind::ether_type) return unclear;
  const auto mask = bits(inner.symbols, left.mask), wanted = bits(inner.symbols, value);
  if (!mask || !wanted) return unclear;
  const auto set = packets_.masked(*inner.field, *mask, *wanted);
  return {packets_.either(packets_.both(inner.domain.must, set), packets_.without(inner.domain.may, inner.domain.must)),
          packets_.both(inner.domain.must, set)};
}

Match RuleMatcher::equal(const NftExpression& left, const NftValue& value, const Place& place) {
  switch (left.kind) {
    case Kind::concat:
      return of_concat(left, value, place);
    case Kind::meta:
      return of_meta(left, value, place);
    case Kind::ct:
      if (left.key == "state" && left.field.empty()) return of_state(value);
      break;
    case Kind::fib:
      return of_fib(left, value, place);
    case Kind::masked:
      return of_masked(left, value);
    case Kind::payload:
      // Extension headers stand between this field and the protocol that the model knows.
      if (left.key == "ip6" && left.field == "nexthdr") break;
      [[fallthrough]];
    case Kind::raw:
      return of_lens(lens(left), value);
    case Kind::unknown:
      break;
  }
  return {domain(left).may, nothing};
}

Match RuleMatcher::looked_up(const codec::NftTable& table, const NftExpression& left, const NftValue& value,
                             const Place& place) {
  const std::vector<NftValue>* elements = nullptr;
  if (value.kind == NftValue::Kind::set) elements = &value.parts;
  if (value.kind == NftValue::Kind::name) {
    const auto* set = table.set(value.text);
    if (set == nullptr || set->changes) return {domain(left).may, nothing};
    elements = &set->elements;
  }
  if (elements == nullptr) return equal(left, value, place);
  Match out;
  for (const auto& element : *elements) {
    const auto one = equal(left, element, place);
    out = {packets_.either(out.may, one.may), packets_.either(out.must, one.must)};
  }
  return out;
}

Match RuleMatcher::ordered(const NftExpression& left, NftOperator op, const NftValue& value) {
  const auto inner = lens(left);
  const Match unclear{inner.domain.may, nothing};
  const auto range = numbers(inner.symbols, value);
  if (!inner.field || !range || range->first != range->second || inner.symbols == SymbolKind::nf_family ||
      inner.symbols == SymbolKind::ether_type)
    return unclear;
  const auto bound = range->first;
  const Wide highest = ~Wide{0} >> (128 - inner.field->width);
  Set set = nothing;
  if (op == NftOperator::less && bound > 0) set = packets_.between(*inner.field, 0, bound - 1);
  if (op == NftOperator::less_equal) set = packets_.between(*inner.field, 0, bound);
  if (op == NftOperator::greater && bound < highest) set = packets_.between(*inner.field, bound + 1, highest);
  if (op == NftOperator::greater_equal) set = packets_.between(*inner.field, bound, highest);
  return {packets_.either(packets_.both(inner.domain.must, set), packets_.without(inner.domain.may, inner.domain.must)),
          packets_.both(inner.domain.must, set)};
}

/// (left & right) != 0.
Match RuleMatcher::any_bit(const NftExpression& left, const NftValue& value) {
  if (left.kind == Kind::ct && left.key == "state" && left.field.empty()) {
    const auto bits = symbol_bits(SymbolKind::ct_state, value);
    if (!bits || tracking_ == Tracking::not_yet) return {everything, nothing};
    Set out = nothing;
    for (const auto state : {PacketState::invalid, PacketState::established, PacketState::related, PacketState::fresh,
                             PacketState::untracked})
      if ((*bits & ct_state_bit(state)) != 0) out = packets_.either(out, packets_.state(state));
    return known(out);
  }
  const auto inner = lens(left);
  const auto wanted = bits(inner.symbols, value);
  if (!inner.field || !wanted) return {inner.domain.may, nothing};
  const auto none = packets_.masked(*inner.field, *wanted, 0);
  return {packets_.without(inner.domain.may, packets_.both(inner.domain.must, none)),
          packets_.without(inner.domain.must, none)};
}

Match RuleMatcher::match(const codec::NftTable& table, const NftStatement& statement, Place place, Tracking tracking) {
  tracking_ = tracking;
  const bool is_cached = tracking == Tracking::done && !needs_place(statement.left);
  if (is_cached)
    if (const auto found = matches_.find(&statement); found != matches_.end()) return found->second;
  Match out;
  switch (statement.op) {
    case NftOperator::equal:
      out = looked_up(table, statement.left, statement.right, place);
      break;
    case NftOperator::not_equal:
      out = negated(looked_up(table, statement.left, statement.right, place), domain(statement.left));
      break;
    case NftOperator::less:
    case NftOperator::greater:
    case NftOperator::less_equal:
    case NftOperator::greater_equal:
      out = ordered(statement.left, statement.op, statement.right);
      break;
    case NftOperator::any_bit:
      out = any_bit(statement.left, statement.right);
      break;
  }
  if (is_cached) matches_[&statement] = out;
  return out;
}

Match RuleMatcher::key(const codec::NftTable& table, const NftExpression& left, const NftValue& value, Place place,
                       Tracking tracking) {
  tracking_ = tracking;
  return looked_up(table, left, value, place);
}

}  // namespace ingot::check
