#include "firewall.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "symbols.hpp"

namespace ingot::check {
namespace {

using codec::NftFamily;
using codec::NftHook;
using codec::NftJudgement;
using codec::NftStatement;
using codec::NftVerdict;

constexpr std::int64_t conntrack_priority = -200;  // NF_IP_PRI_CONNTRACK
constexpr std::size_t text_bytes = 240;

bool is_tracked(const codec::NftChain::Base& base) {
  const bool is_early =
      base.hook == NftHook::ingress ||
      ((base.hook == NftHook::prerouting || base.hook == NftHook::output) && base.priority < conntrack_priority);
  return !is_early;
}

std::string shortened(std::string text) {
  if (text.size() <= text_bytes) return text;
  return text.substr(0, text_bytes) + " ...";
}

/// A statement that does nothing to packets but choose among them.
bool only_narrows(const NftStatement& statement) {
  return statement.kind == NftStatement::Kind::match || statement.kind == NftStatement::Kind::sometimes ||
         statement.kind == NftStatement::Kind::harmless || statement.kind == NftStatement::Kind::helper;
}

/// Linux takes packets to any of its addresses on any interface. Broadcasts are the last addresses of its networks.
Set local_destinations(PacketSets& packets, const Host& host) {
  Set out = nothing;
  for (const auto* text : {"fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "224.0.0.0-239.255.255.255",
                           "255.255.255.255", "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    out = packets.either(out, packets.address(field::destination, *IpRange::parse(text)));
  for (const auto& one : host.interfaces) {
    out = packets.either(out, packets.without(packets.addresses(field::destination, one.addresses),
                                              packets.addresses(field::destination, one.except)));
    for (const auto& route : one.routes)
      if (route.family() == IpFamily::v4)
        out = packets.either(out, packets.address(field::destination, {route.last, route.last}));
  }
  return out;
}

}  // namespace

Firewall::Firewall(PacketSets& packets, const Host& host)
    : packets_(packets), host_(host), matcher_(packets, host), hooks_(7) {
  local_ = local_destinations(packets, host);
  if (!host.ruleset) return;
  for (const auto& table : host.ruleset->tables) {
    if (table.state == codec::NftTable::State::dormant) continue;
    for (const auto& one : table.chains) {
      rule_count_ += one.rules.size();
      for (const auto& rule : one.rules)
        for (const auto& statement : rule.statements) {
          translates_ =
              translates_ || statement.kind == NftStatement::Kind::nat || statement.kind == NftStatement::Kind::rewrite;
          has_helpers_ = has_helpers_ || statement.kind == NftStatement::Kind::helper;
        }
      if (!one.base) continue;
      // Frames of bridges and ARP are not modelled: they can only take away.
      if (table.family == NftFamily::bridge || table.family == NftFamily::arp)
        has_layer_two_ = has_layer_two_ || !one.base->accepts || !one.rules.empty();
      else
        hooks_[static_cast<std::size_t>(one.base->hook)].push_back({&table, &one});
    }
  }
  for (auto& chains : hooks_)
    std::stable_sort(chains.begin(), chains.end(),
                     [](const auto& a, const auto& b) { return a.chain->base->priority < b.chain->base->priority; });
}

void Firewall::keep(std::vector<Set*>& roots) {
  roots.push_back(&local_);
  matcher_.forget();
}

Set Firewall::restricted(Set packets, const codec::NftTable& table) {
  if (table.family == NftFamily::ip) return packets_.both(packets, packets_.family(IpFamily::v4));
  if (table.family == NftFamily::ip6) return packets_.both(packets, packets_.family(IpFamily::v6));
  return packets;
}

// Netfilter hooks in nft(8), "ADDRESS FAMILIES"; each later one sees what the one before let pass.
Set Firewall::sent(Set packets, std::string_view out, Bound bound) {
  if (has_layer_two_ && bound == Bound::must) return nothing;
  packets = pass(NftHook::output, {{}, out}, packets, bound);
  packets = pass(NftHook::postrouting, {{}, out}, packets, bound);
  return pass(NftHook::egress, {{}, out}, packets, bound);
}

Set Firewall::received(Set packets, std::string_view in, Bound bound) {
  if (has_layer_two_ && bound == Bound::must) return nothing;
  if (!translates_) packets = packets_.both(packets, local_);
  packets = pass(NftHook::ingress, {in, {}}, packets, bound);
  packets = pass(NftHook::prerouting, {in, {}}, packets, bound);
  return pass(NftHook::input, {in, {}}, packets_.both(packets, local_), bound);
}

Set Firewall::forwarded(Set packets, std::string_view in, std::string_view out, Bound bound) {
  if (has_layer_two_ && bound == Bound::must) return nothing;
  packets = pass(NftHook::ingress, {in, {}}, packets, bound);
  packets = pass(NftHook::prerouting, {in, {}}, packets, bound);
  packets = pass(NftHook::forward, {in, out}, packets, bound);
  packets = pass(NftHook::postrouting, {in, out}, packets, bound);
  return pass(NftHook::egress, {{}, out}, packets, bound);
}

Set Firewall::pass(NftHook hook, Place place, Set packets, Bound bound) {
  for (const auto& base : hooks_[static_cast<std::size_t>(hook)]) {
    if (packets == nothing) break;
    packets = pass_chain(base, place, packets, bound);
  }
  return packets;
}

Set Firewall::pass_chain(const BaseChain& base, Place place, Set packets, Bound bound) {
  const auto& hooked = *base.chain->base;
  const auto device = hooked.hook == NftHook::ingress ? place.in : place.out;
  const bool has_device = hooked.hook == NftHook::ingress || hooked.hook == NftHook::egress;
  bool is_certain = base.table->state == codec::NftTable::State::active;
  if (has_device && hooked.devices.empty()) is_certain = false;
  if (has_device && !hooked.devices.empty() &&
      std::find(hooked.devices.begin(), hooked.devices.end(), device) == hooked.devices.end())
    return packets;
  Set seen = restricted(packets, *base.table);
  // A chain that translates addresses sees the first packet of a connection only.
  if (hooked.type == "nat")
    seen =
        packets_.both(seen, packets_.either(packets_.state(PacketState::fresh), packets_.state(PacketState::related)));
  const auto others = packets_.without(packets, seen);
  const Walk walk{bound,
                  place,
                  base.table,
                  base.chain,
                  is_tracked(hooked) ? RuleMatcher::Tracking::done : RuleMatcher::Tracking::not_yet,
                  seen,
                  {}};
  const auto outcome = run(walk, *base.chain, seen);
  auto passed = outcome.accepted;
  if (outcome.returned != nothing)
    note(walk, nullptr, {outcome.returned, outcome.returned}, hooked.accepts ? "accept" : "drop");
  if (hooked.accepts) passed = packets_.either(passed, outcome.returned);
  if (!is_certain) {
    is_open_ = true;
    passed = bound == Bound::may ? packets_.either(passed, seen) : packets_.both(passed, seen);
  }
  return packets_.either(passed, others);
}

Firewall::Outcome Firewall::run(const Walk& caller, const codec::NftChain& chain, Set packets) {
  Walk walk{caller.bound, caller.place, caller.table, &chain, caller.tracking, packets, {}};
  for (Rules rules = chain.rules; !rules.empty() && walk.here != nothing;) {
    const auto judged = hits_ == nullptr ? alike(walk, rules) : 0;
    if (judged == 0) rule(walk, rules.front());
    rules = rules.subspan(std::max<std::size_t>(judged, 1));
  }
  walk.outcome.returned = packets_.either(walk.outcome.returned, walk.here);
  return walk.outcome;
}

/// What a rule matches that does nothing but accept or drop it; nothing when it is not known exactly.
std::optional<Set> Firewall::exact_match(const Walk& walk, const codec::NftRule& rule) {
  Set out = everything;
  for (const auto& statement : rule.statements) {
    if (&statement == &rule.statements.back()) return out;
    if (statement.kind == NftStatement::Kind::harmless) continue;
    if (statement.kind != NftStatement::Kind::match) return std::nullopt;
    const auto one = matcher_.match(*walk.table, statement, walk.place, walk.tracking);
    if (one.may != one.must) return std::nullopt;
    out = packets_.both(out, one.may);
  }
  return std::nullopt;
}

// Rulesets are long because each peer has a rule. The sets of the rules are small; what is here is large, so it is
// asked once for all of them.
std::size_t Firewall::alike(Walk& walk, Rules rules) {
  const auto verdict_of = [](const codec::NftRule& rule) -> std::optional<NftVerdict> {
    if (rule.statements.empty() || rule.statements.back().kind != NftStatement::Kind::verdict) return std::nullopt;
    const auto verdict = rule.statements.back().judgement.verdict;
    return verdict == NftVerdict::accept || verdict == NftVerdict::drop ? std::optional(verdict) : std::nullopt;
  };
  const auto verdict = verdict_of(rules.front());
  if (!verdict) return 0;
  Set matched = nothing;
  std::size_t count = 0;
  for (; count < rules.size() && verdict_of(rules[count]) == verdict; ++count) {
    const auto one = exact_match(walk, rules[count]);
    if (!one) break;
    matched = packets_.either(matched, *one);
  }
  matched = packets_.both(matched, walk.here);
  judge(walk, {*verdict, {}}, {matched, matched});
  return count;
}

void Firewall::note(const Walk& walk, const codec::NftRule* rule, const Match& match, std::string_view verdict) {
  if (hits_ == nullptr || match.may == nothing) return;
  auto name = fmt::format("{} {} {}", to_text(walk.table->family), walk.table->name, walk.chain->name);
  if (rule == nullptr)
    hits_->push_back({std::move(name), 0, fmt::format("policy {}", verdict)});
  else
    hits_->push_back(
        {std::move(name), rule->handle,
         verdict.empty() ? shortened(to_text(*rule)) : fmt::format("{}: {}", shortened(to_text(*rule)), verdict)});
}

void Firewall::rule(Walk& walk, const codec::NftRule& rule) {
  // Matches among themselves first: they are small, what is here is large.
  Match match{everything, everything};
  bool is_of_here = false;
  for (const auto& statement : rule.statements) {
    if (!is_of_here && !only_narrows(statement)) {
      match = {packets_.both(walk.here, match.may), packets_.both(walk.here, match.must)};
      is_of_here = true;
    }
    if (match.may == nothing) return;
    switch (statement.kind) {
      case NftStatement::Kind::match: {
        const auto one = matcher_.match(*walk.table, statement, walk.place, walk.tracking);
        match = {packets_.both(match.may, one.may), packets_.both(match.must, one.must)};
        break;
      }
      case NftStatement::Kind::sometimes:
        match.must = nothing;
        break;
      case NftStatement::Kind::verdict:
        note(walk, &rule, match, {});
        return judge(walk, statement.judgement, match);
      case NftStatement::Kind::reject:
        note(walk, &rule, match, {});
        return judge(walk, {NftVerdict::drop, {}}, match);
      case NftStatement::Kind::vmap:
        look_up(walk, statement, match, rule);
        break;
      case NftStatement::Kind::nat:
        note(walk, &rule, match, {});
        return translate(walk, statement, match);
      case NftStatement::Kind::notrack:
        note(walk, &rule, match, {});
        replace(walk, match,
                packets_.both(packets_.forget(match.may, field::state), packets_.state(PacketState::untracked)));
        break;
      case NftStatement::Kind::rewrite:
        note(walk, &rule, match, {});
        rewrite(walk, statement, match);
        break;
      case NftStatement::Kind::queue:
      case NftStatement::Kind::unknown:
        note(walk, &rule, match, "nobody can say");
        anything(walk, match);
        break;
      case NftStatement::Kind::harmless:
      case NftStatement::Kind::helper:
        break;
    }
  }
}

/// A statement that may accept, drop or do nothing.
void Firewall::anything(Walk& walk, Match& match) {
  is_open_ = true;
  if (walk.bound == Bound::may) {
    walk.outcome.accepted = packets_.either(walk.outcome.accepted, match.may);
  } else {
    walk.here = packets_.without(walk.here, match.may);
    match.may = nothing;
  }
  match.must = nothing;
}

void Firewall::look_up(Walk& walk, const NftStatement& vmap, Match& match, const codec::NftRule& rule) {
  const auto one = [&](const codec::NftValue& key, const NftJudgement& judgement) {
    if (match.may == nothing) return;
    const auto hit = matcher_.key(*walk.table, vmap.left, key, walk.place, walk.tracking);
    const Match reached{packets_.both(match.may, hit.may), packets_.both(match.must, hit.must)};
    if (reached.may == nothing) return;
    note(walk, &rule, reached, to_text(judgement));
    judge(walk, judgement, reached);
    match = {packets_.without(match.may, hit.must), packets_.without(match.must, hit.may)};
  };
  for (const auto& [key, judgement] : vmap.elements) one(key, judgement);
  if (!vmap.elements.empty()) return;
  const auto* map = walk.table->set(vmap.right.text);
  if (map == nullptr || map->changes) return anything(walk, match);
  for (std::size_t i = 0; i < map->elements.size(); ++i) one(map->elements[i], map->judgements[i]);
}

// Two bounds of one walk. `may`: who could be accepted is added, and only who surely was judged leaves. `must`: only
// who surely was accepted is added, and whoever could have been dropped leaves; who could have been accepted stays, for
// it is enough that all its ways end in accepting it.
void Firewall::judge(Walk& walk, const NftJudgement& judgement, Match match) {
  if (match.may != match.must) is_open_ = true;
  const bool may = walk.bound == Bound::may;
  switch (judgement.verdict) {
    case NftVerdict::accept:
      walk.outcome.accepted = packets_.either(walk.outcome.accepted, may ? match.may : match.must);
      walk.here = packets_.without(walk.here, match.must);
      return;
    case NftVerdict::drop:
      walk.here = packets_.without(walk.here, may ? match.must : match.may);
      return;
    case NftVerdict::go_on:
      return;
    case NftVerdict::give_back:
      walk.outcome.returned = packets_.either(walk.outcome.returned, may ? match.may : match.must);
      walk.here = packets_.without(walk.here, may ? match.must : match.may);
      return;
    case NftVerdict::jump:
    case NftVerdict::go_to:
      return jump(walk, judgement, match);
  }
}

void Firewall::jump(Walk& walk, const NftJudgement& judgement, Match match) {
  const auto* target = walk.table->chain(judgement.chain);
  if (target == nullptr) return;
  const bool may = walk.bound == Bound::may;
  const bool is_goto = judgement.verdict == NftVerdict::go_to;
  const auto inner = run(walk, *target, may || !is_goto ? match.may : match.must);
  auto& outcome = walk.outcome;
  if (is_goto) {
    // What the target gives back goes to whoever called this chain.
    outcome.accepted = packets_.either(outcome.accepted, inner.accepted);
    outcome.returned = packets_.either(outcome.returned, inner.returned);
    walk.here = packets_.without(walk.here, may ? match.must : match.may);
    return;
  }
  if (may) {
    outcome.accepted = packets_.either(outcome.accepted, inner.accepted);
    walk.here = packets_.either(packets_.without(walk.here, match.must), inner.returned);
    return;
  }
  // Who only may have jumped must make it both ways.
  const auto unsure = packets_.without(match.may, match.must);
  outcome.accepted = packets_.either(outcome.accepted, packets_.without(inner.accepted, unsure));
  walk.here = packets_.either(packets_.without(walk.here, match.may),
                              packets_.either(inner.returned, packets_.both(inner.accepted, unsure)));
}

}  // namespace ingot::check
