// The ruleset of a kernel as `nft -j list ruleset` prints it (libnftables-json(5), json_schema_version 1; seen with nft
// 1.0.6 and 1.1.3). Untrusted: a node says it of itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

enum class NftFamily { ip, ip6, inet, netdev, bridge, arp };
enum class NftHook { ingress, prerouting, input, forward, output, postrouting, egress };
std::string to_text(NftFamily family);
std::string to_text(NftHook hook);

/// The right-hand side of a match, a set's element, an operand.
struct NftValue {
  enum class Kind {
    number,
    text,    ///< address, interface, symbol ("echo-request"), as nft names it
    prefix,  ///< `text` is the address, `number` the length
    range,   ///< two parts
    set,     ///< anonymous set: any of the parts
    flags,   ///< list of bits: all parts together
    concat,
    name,     ///< a named set or map, without the "@"
    unknown,  ///< `text` is the JSON
  };
  Kind kind = Kind::unknown;
  std::uint64_t number = 0;
  std::string text;
  std::vector<NftValue> parts;
  bool operator==(const NftValue&) const = default;
};

/// What a statement looks at.
struct NftExpression {
  enum class Kind {
    payload,  ///< `key` is the protocol ("tcp", "th"), `field` its field
    raw,      ///< `key` is the base ("ll", "nh", "th"), `offset_bits` and `length_bits`
    meta,     ///< `key`
    ct,       ///< `key`; `field` is the direction, or empty
    fib,      ///< `key` is the result, `field` the flags in alphabetical order, separated by blanks
    concat,   ///< of the parts
    masked,   ///< the one part, and with `mask`
    unknown,  ///< `key` is the JSON
  };
  Kind kind = Kind::unknown;
  std::string key;
  std::string field;
  std::uint32_t offset_bits = 0;
  std::uint32_t length_bits = 0;
  std::vector<NftExpression> parts;
  NftValue mask;
  bool operator==(const NftExpression&) const = default;
};

enum class NftVerdict { accept, drop, go_on, give_back, jump, go_to };
/// "accept", "continue", "return", "jump CHAIN".
struct NftJudgement {
  NftVerdict verdict = NftVerdict::go_on;
  std::string chain;  ///< of jump and goto
  bool operator==(const NftJudgement&) const = default;
};
std::string to_text(const NftJudgement& judgement);

enum class NftOperator { equal, not_equal, less, greater, less_equal, greater_equal, any_bit };

struct NftStatement {
  enum class Kind {
    match,      ///< `left` `op` `right`
    verdict,    ///< `judgement`
    vmap,       ///< `left` looked up in `right` (a name or a set of elements with judgements)
    sometimes,  ///< limit, quota, connection count: matches or not, by what came before
    harmless,   ///< counter, log, a mark: changes neither the packet's way nor its addresses
    reject,
    notrack,
    nat,      ///< `text` is snat, dnat, masquerade or redirect; `address` and `port` when they are constant
    rewrite,  ///< `left` is set to something: a payload that is changed
    helper,   ///< a connection tracking helper: RELATED connections may follow
    queue,    ///< a program decides
    unknown,  ///< `text` is the JSON
  };
  Kind kind = Kind::unknown;
  NftExpression left;
  NftOperator op = NftOperator::equal;
  NftValue right;
  NftJudgement judgement;
  std::vector<std::pair<NftValue, NftJudgement>> elements;  ///< of a vmap with an anonymous map
  std::optional<NftValue> address;                          ///< nat: null and `port` null: nothing is said
  std::optional<NftValue> port;
  std::string text;  ///< nft's own words where we have them, for people
  bool operator==(const NftStatement&) const = default;
};

struct NftRule {
  std::uint64_t handle = 0;
  std::string comment;
  std::vector<NftStatement> statements;
  bool operator==(const NftRule&) const = default;
};
/// Nearly as `nft list ruleset` prints it, one line, without the handle.
std::string to_text(const NftRule& rule);

struct NftChain {
  std::string name;
  struct Base {
    std::string type;  ///< filter, nat, route
    NftHook hook = NftHook::input;
    std::int64_t priority = 0;
    bool accepts = true;               ///< the policy
    std::vector<std::string> devices;  ///< of ingress and egress; nft 1.0.6 does not print them: empty is unclear
    bool operator==(const Base&) const = default;
  };
  std::optional<Base> base;  ///< nothing: only reached by jumps
  std::vector<NftRule> rules;
  bool operator==(const NftChain&) const = default;
};

/// Sets and maps. An element of a verdict map has its judgement in `judgements`, at the same place.
struct NftSet {
  std::string name;
  bool changes = false;  ///< packets or time change its elements: what it holds now proves nothing
  std::vector<NftValue> elements;
  std::vector<NftJudgement> judgements;
  bool operator==(const NftSet&) const = default;
};

struct NftTable {
  NftFamily family = NftFamily::inet;
  std::string name;
  /// Its chains are not hooked when it is dormant. nft 1.0.6 prints whatever memory holds in the place of flags.
  enum class State { active, dormant, unclear };
  State state = State::active;
  std::vector<NftChain> chains;
  std::vector<NftSet> sets;
  bool operator==(const NftTable&) const = default;

  [[nodiscard]] const NftChain* chain(std::string_view name) const;
  [[nodiscard]] const NftSet* set(std::string_view name) const;
};

struct NftRuleset {
  std::vector<NftTable> tables;
  bool operator==(const NftRuleset&) const = default;
};

/// Strict in form, open in content: an expression or statement that is not known is kept as `unknown`. Errors:
/// malformed (no JSON, with the byte; members missing or of a wrong type; a rule, jump or set of a chain or table that
/// is not there; chains that call each other in a circle), limit (more than 100,000 chains, 1,000,000 rules or
/// 4,000,000 elements).
Result<NftRuleset> decode_nft(Bytes json);

}  // namespace ingot::codec
