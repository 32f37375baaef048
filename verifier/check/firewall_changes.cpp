// What rules change of packets: translated addresses and ports, rewritten fields.
#include "firewall.hpp"

namespace ingot::check {

using codec::NftStatement;

void Firewall::replace(Walk& walk, Match& match, Set changed) {
  const bool is_sure = match.may == match.must;
  if (!is_sure) is_open_ = true;
  if (walk.bound == Bound::may) {
    walk.here = packets_.either(packets_.without(walk.here, match.must), changed);
    match = {is_sure ? changed : packets_.either(changed, match.may), is_sure ? changed : nothing};
    return;
  }
  walk.here = packets_.without(walk.here, match.may);
  if (is_sure) walk.here = packets_.either(walk.here, changed);
  match = is_sure ? Match{changed, changed} : Match{};
}

void Firewall::rewrite(Walk& walk, const NftStatement& statement, Match& match) {
  is_open_ = true;
  auto changed = match.may;
  const auto& name = statement.left.field;
  const bool is_raw = statement.left.kind != codec::NftExpression::Kind::payload;
  if (name == "saddr" || is_raw) changed = packets_.forget(changed, field::source);
  if (name == "daddr" || is_raw) changed = packets_.forget(changed, field::destination);
  if (name == "sport" || name == "code" || is_raw) changed = packets_.forget(changed, field::source_port);
  if (name == "dport" || name == "type" || is_raw) changed = packets_.forget(changed, field::destination_port);
  if (name == "flags" || is_raw) changed = packets_.forget(changed, field::tcp_flags);
  if (name == "protocol" || name == "nexthdr" || is_raw) changed = packets_.forget(changed, field::protocol);
  if (walk.bound == Bound::may) return replace(walk, match, changed);
  walk.here = packets_.without(walk.here, match.may);
  match = {};
}

// Addresses and ports become what the rule says, or anything where that is not one value. What is translated is
// accepted. For "works", a translated packet counts as lost: nobody asked for it under its new name.
void Firewall::translate(Walk& walk, const NftStatement& nat, Match match) {
  is_open_ = true;
  if (walk.bound == Bound::must) {
    walk.here = packets_.without(walk.here, match.may);
    return;
  }
  const bool is_source = nat.text == "snat" || nat.text == "masquerade";
  const auto address = is_source ? field::source : field::destination;
  const auto port = is_source ? field::source_port : field::destination_port;
  auto changed = match.may;
  if (nat.address || nat.text == "masquerade" || nat.text == "redirect") {
    changed = packets_.forget(changed, address);
    const auto fixed = nat.address && nat.address->kind == codec::NftValue::Kind::text
                           ? IpRange::parse(nat.address->text)
                           : std::nullopt;
    if (fixed) changed = packets_.both(changed, packets_.address(address, *fixed));
    if (!nat.address) {
      Set own = nothing;
      for (const auto& one : host_.interfaces) own = packets_.either(own, packets_.addresses(address, one.addresses));
      changed = packets_.both(changed, own);
    }
  }
  // A source port may change with every translation of the source.
  if (nat.port || is_source) {
    changed = packets_.forget(changed, port);
    if (nat.port && nat.port->kind == codec::NftValue::Kind::number)
      changed = packets_.both(changed, packets_.equal(port, nat.port->number));
  }
  walk.outcome.accepted = packets_.either(walk.outcome.accepted, changed);
  walk.here = packets_.without(walk.here, match.must);
}

}  // namespace ingot::check
