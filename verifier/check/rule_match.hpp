// What a match of a rule says about a packet: which packets may match, and which surely do. Where the model knows the
// expression exactly, the two are one.
#pragma once

#include <string_view>
#include <unordered_map>

#include "packets.hpp"

namespace ingot::check {

struct Match {
  Set may = nothing;
  Set must = nothing;
};

/// Where a packet is: names of interfaces, empty where it has none.
struct Place {
  std::string_view in;
  std::string_view out;
};

class RuleMatcher {
 public:
  /// `host` tells what is local and routed where. All are borrowed.
  RuleMatcher(PacketSets& packets, const Host& host) : packets_(packets), host_(host) {}

  /// `tracked`: connection tracking has seen the packet; before that, what it would say is not known.
  enum class Tracking { done, not_yet };
  Match match(const codec::NftTable& table, const codec::NftStatement& statement, Place place, Tracking tracking);
  /// One key of a verdict map.
  Match key(const codec::NftTable& table, const codec::NftExpression& left, const codec::NftValue& value, Place place,
            Tracking tracking);
  /// Drops all sets, which Bdd::collect() would make invalid.
  void forget() { matches_.clear(); }

 private:
  struct Lens;
  Match equal(const codec::NftExpression& left, const codec::NftValue& value, const Place& place);
  Match of_concat(const codec::NftExpression& left, const codec::NftValue& value, const Place& place);
  Match of_meta(const codec::NftExpression& left, const codec::NftValue& value, const Place& place);
  Match of_fib(const codec::NftExpression& left, const codec::NftValue& value, const Place& place);
  Match of_state(const codec::NftValue& value);
  Match of_lens(const Lens& lens, const codec::NftValue& value);
  Match of_masked(const codec::NftExpression& left, const codec::NftValue& value);
  Match ordered(const codec::NftExpression& left, codec::NftOperator op, const codec::NftValue& value);
  Match any_bit(const codec::NftExpression& left, const codec::NftValue& value);
  Match looked_up(const codec::NftTable& table, const codec::NftExpression& left, const codec::NftValue& value,
                  const Place& place);
  /// Packets to which the expression applies at all: its protocol and family.
  Match domain(const codec::NftExpression& left);
  Match negated(const Match& match, const Match& domain);
  Lens lens(const codec::NftExpression& left);
  Match known(Set set) { return {set, set}; }

  PacketSets& packets_;
  const Host& host_;
  Tracking tracking_ = Tracking::done;
  std::unordered_map<const codec::NftStatement*, Match> matches_;  ///< of those that no interface decides
};

}  // namespace ingot::check
