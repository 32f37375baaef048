// One host's ruleset as a function from packets to packets: the kernel's order of hooks and chains.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "rule_match.hpp"

namespace ingot::check {

/// From which side to be wrong where the rules leave it open.
enum class Bound {
  may,   ///< every packet that could pass: for "unreachable"
  must,  ///< only packets that pass whatever happens: for "works"
};

class Firewall {
 public:
  /// Null ruleset: everything passes. All are borrowed.
  Firewall(PacketSets& packets, const Host& host);

  /// What leaves by an interface, of what the host itself sends.
  Set sent(Set packets, std::string_view out, Bound bound);
  /// What the host's own programs get, of what comes in by an interface.
  Set received(Set packets, std::string_view in, Bound bound);
  /// What leaves again, of what comes in. Preceding translation of destinations included: `packets` are as on the wire.
  Set forwarded(Set packets, std::string_view in, std::string_view out, Bound bound);

  /// Destinations that the host itself takes: its addresses on any interface, broadcasts, multicasts.
  [[nodiscard]] Set local() const { return local_; }
  /// Whether some rule translates addresses: then sets before and after differ.
  [[nodiscard]] bool translates() const { return translates_; }
  [[nodiscard]] bool has_helpers() const { return has_helpers_; }
  /// False when every rule met so far was known exactly: then both bounds are the same.
  [[nodiscard]] bool is_open() const { return is_open_; }
  [[nodiscard]] std::size_t rule_count() const { return rule_count_; }
  /// While not null, the rules that the packets meet are added to it.
  void record(std::vector<RuleHit>* hits) { hits_ = hits; }
  /// Before Bdd::collect(): adds the sets that it cannot do without, and drops all others.
  void keep(std::vector<Set*>& roots);

 private:
  struct BaseChain {
    const codec::NftTable* table;
    const codec::NftChain* chain;
  };
  struct Outcome {
    Set accepted = nothing;
    Set returned = nothing;  ///< at the end of the chain, or given back
  };
  /// What is known while one chain is gone through.
  struct Walk {
    Bound bound{};
    Place place;
    const codec::NftTable* table;
    const codec::NftChain* chain;
    RuleMatcher::Tracking tracking{};
    Set here = nothing;  ///< packets before the next rule; in the `must` direction those accepted on the way may stay
    Outcome outcome;
  };

  Set pass(codec::NftHook hook, Place place, Set packets, Bound bound);
  Set pass_chain(const BaseChain& base, Place place, Set packets, Bound bound);
  Outcome run(const Walk& caller, const codec::NftChain& chain, Set packets);
  void rule(Walk& walk, const codec::NftRule& rule);
  using Rules = std::span<const codec::NftRule>;
  /// Judges the rules at the start of `rules` that surely do the same with all that they match, as if they were one.
  /// Returns how many these were.
  std::size_t alike(Walk& walk, Rules rules);
  std::optional<Set> exact_match(const Walk& walk, const codec::NftRule& rule);
  void judge(Walk& walk, const codec::NftJudgement& judgement, Match match);
  void jump(Walk& walk, const codec::NftJudgement& judgement, Match match);
  void look_up(Walk& walk, const codec::NftStatement& vmap, Match& match, const codec::NftRule& rule);
  void translate(Walk& walk, const codec::NftStatement& nat, Match match);
  void rewrite(Walk& walk, const codec::NftStatement& statement, Match& match);
  /// The packets of `match` become others.
  void replace(Walk& walk, Match& match, Set changed);
  void anything(Walk& walk, Match& match);
  void note(const Walk& walk, const codec::NftRule* rule, const Match& match, std::string_view verdict);
  Set restricted(Set packets, const codec::NftTable& table);

  PacketSets& packets_;
  const Host& host_;
  RuleMatcher matcher_;
  std::vector<std::vector<BaseChain>> hooks_;  ///< by NftHook, in the order of their priorities
  Set local_ = nothing;
  bool translates_ = false;
  bool has_helpers_ = false;
  bool is_open_ = false;
  bool has_layer_two_ = false;
  std::size_t rule_count_ = 0;
  std::vector<RuleHit>* hits_ = nullptr;
};

}  // namespace ingot::check
