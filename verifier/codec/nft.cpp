#include "ingot/codec/nft.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "json.hpp"
#include "nft_parts.hpp"

namespace ingot::codec {
namespace {

using json::Value;

constexpr std::size_t object_cap = 2'000'000;
constexpr std::size_t chain_cap = 100'000;
constexpr std::size_t rule_cap = 1'000'000;
constexpr std::size_t element_cap = 4'000'000;
constexpr std::size_t statement_cap = 1'000;
constexpr const char* remedy = "give what `nft -j list ruleset` prints";

constexpr std::array<std::string_view, 6> families = {"ip", "ip6", "inet", "netdev", "bridge", "arp"};
constexpr std::array<std::string_view, 7> hooks = {"ingress", "prerouting",  "input", "forward",
                                                   "output",  "postrouting", "egress"};

/// The place of a name in its enumeration.
template <typename Enum, std::size_t count>
Result<Enum> one_of(const std::array<std::string_view, count>& names, const Value& object, const char* member) {
  const auto text = TRY(json::text(object, member));
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return fail(ErrorCode::malformed, fmt::format("unknown {} \"{}\"", member, text));
  return static_cast<Enum>(found - names.begin());
}

/// A list, or the one value that stands for a list of it.
std::vector<Value> as_list(const Value* value) {
  if (value == nullptr) return {};
  if (value->is_array()) return value->get<std::vector<Value>>();
  return {*value};
}

/// Objects come in any order, but what they belong to comes first: tables, then sets and chains, then rules.
class Decoder {
 public:
  Result<NftRuleset> decode(const Value& document) {
    for (const auto& one : *TRY(json::array(document, "nftables", object_cap))) {
      if (!one.is_object() || one.size() != 1) return fail(ErrorCode::malformed, "an object that has not one member");
      const auto& kind = one.begin().key();
      const auto& content = one.begin().value();
      if (kind == "table") TRY(add_table(content));
      if (kind == "chain") TRY(add_chain(content));
      if (kind == "rule") TRY(add_rule(content));
      if (kind == "set" || kind == "map") TRY(add_set(content, kind == "map"));
      if (kind == "element") TRY(add_elements(content));
    }
    for (std::size_t table = 0; table < out_.tables.size(); ++table) {
      TRY(mark_changing_sets(table));
      TRY(check_jumps(table));
    }
    return std::move(out_);
  }

 private:
  Result<void> add_table(const Value& content) {
    NftTable table;
    table.family = TRY(one_of<NftFamily>(families, content, "family"));
    table.name = TRY(json::text(content, "name"));
    for (const auto& flag : as_list(json::find(content, "flags"))) {
      if (flag == "dormant")
        table.state = NftTable::State::dormant;
      else if (flag != "owner" && flag != "persist")
        table.state = NftTable::State::unclear;
    }
    if (!tables_.emplace(std::pair{table.family, table.name}, out_.tables.size()).second)
      return fail(ErrorCode::malformed, fmt::format("two tables {} {}", to_text(table.family), table.name));
    out_.tables.push_back(std::move(table));
    return {};
  }

  /// The table that an object says it is of.
  Result<std::size_t> table_of(const Value& content) {
    const auto family = TRY(one_of<NftFamily>(families, content, "family"));
    const auto name = TRY(json::text(content, "table"));
    const auto found = tables_.find({family, name});
    if (found != tables_.end()) return found->second;
    return fail(ErrorCode::malformed,
                fmt::format("something of table {} {}, which is not there", to_text(family), name));
  }

  Result<void> add_chain(const Value& content) {
    const auto table = TRY(table_of(content));
    NftChain chain;
    chain.name = TRY(json::text(content, "name"));
    if (json::find(content, "hook") != nullptr) chain.base = TRY(decode_base(content));
    if (chains_.size() >= chain_cap) return fail(ErrorCode::limit, fmt::format("more than {} chains", chain_cap));
    if (!chains_.emplace(std::pair{table, chain.name}, out_.tables[table].chains.size()).second)
      return fail(ErrorCode::malformed, fmt::format("two chains {}", chain.name));
    out_.tables[table].chains.push_back(std::move(chain));
    return {};
  }

  static Result<NftChain::Base> decode_base(const Value& content) {
    NftChain::Base base;
    base.type = TRY(json::text(content, "type"));
    base.hook = TRY(one_of<NftHook>(hooks, content, "hook"));
    const Value* priority = TRY(json::member(content, "prio"));
    if (!priority->is_number_integer()) return fail(ErrorCode::malformed, "\"prio\" is not a whole number");
    base.priority = priority->get<std::int64_t>();
    const auto policy = TRY(json::optional_text(content, "policy"));
    if (policy != "" && policy != "accept" && policy != "drop")
      return fail(ErrorCode::malformed, fmt::format("unknown policy \"{}\"", policy));
    base.accepts = policy != "drop";
    for (const auto& device : as_list(json::find(content, "dev"))) {
      if (!device.is_string()) return fail(ErrorCode::malformed, "\"dev\" is not a text");
      base.devices.push_back(device.get<std::string>());
    }
    return base;
  }

  Result<void> add_rule(const Value& content) {
    const auto table = TRY(table_of(content));
    const auto name = TRY(json::text(content, "chain"));
    const auto chain = chains_.find({table, name});
    if (chain == chains_.end())
      return fail(ErrorCode::malformed, fmt::format("a rule of chain {}, which is not there", name));
    if (++rule_count_ > rule_cap) return fail(ErrorCode::limit, fmt::format("more than {} rules", rule_cap));
    NftRule rule;
    rule.handle = TRY(json::number(content, "handle"));
    rule.comment = TRY(json::optional_text(content, "comment"));
    const auto context = fmt::format("rule {} of chain {}", rule.handle, name);
    for (const auto& one : *TRY_IN(context, json::array(content, "expr", statement_cap)))
      rule.statements.push_back(TRY_IN(context, detail::decode_nft_statement(one)));
    out_.tables[table].chains[chain->second].rules.push_back(std::move(rule));
    return {};
  }

  Result<void> add_set(const Value& content, bool is_map) {
    const auto table = TRY(table_of(content));
    NftSet set;
    set.name = TRY(json::text(content, "name"));
    for (const auto& flag : as_list(json::find(content, "flags")))
      set.changes = set.changes || !flag.is_string() || flag.get<std::string>() == "timeout" ||
                    flag.get<std::string>() == "dynamic";
    set.changes = set.changes || json::find(content, "timeout") != nullptr;
    const bool is_verdict_map = is_map && TRY(json::optional_text(content, "map")) == "verdict";
    TRY_IN(fmt::format("set {}", set.name), add_to(set, json::find(content, "elem"), is_verdict_map, is_map));
    if (!sets_.emplace(std::pair{table, set.name}, out_.tables[table].sets.size()).second)
      return fail(ErrorCode::malformed, fmt::format("two sets {}", set.name));
    out_.tables[table].sets.push_back(std::move(set));
    return {};
  }

  /// Elements that do not fit into one message of the kernel are printed apart.
  Result<void> add_elements(const Value& content) {
    const auto table = TRY(table_of(content));
    const auto name = TRY(json::text(content, "name"));
    const auto found = sets_.find({table, name});
    if (found == sets_.end())
      return fail(ErrorCode::malformed, fmt::format("elements of set {}, which is not there", name));
    auto& set = out_.tables[table].sets[found->second];
    const bool is_verdict_map = !set.judgements.empty();
    return add_to(set, json::find(content, "elem"), is_verdict_map, is_verdict_map);
  }

  Result<void> add_to(NftSet& set, const Value* elements, bool is_verdict_map, bool is_map) {
    if (elements == nullptr) return {};
    if (!elements->is_array()) return fail(ErrorCode::malformed, "\"elem\" is not an array");
    element_count_ += elements->size();
    if (element_count_ > element_cap)
      return fail(ErrorCode::limit, fmt::format("more than {} elements of sets", element_cap));
    for (const auto& one : *elements) {
      if (is_verdict_map) {
        auto [key, judgement] = TRY(detail::decode_nft_map_element(one));
        set.elements.push_back(std::move(key));
        set.judgements.push_back(std::move(judgement));
      } else {
        set.elements.push_back(detail::decode_nft_value(is_map && one.is_array() && !one.empty() ? one.at(0) : one));
      }
    }
    return {};
  }

  /// What rules put into sets is not known beforehand. Every name that is looked up must be there.
  Result<void> mark_changing_sets(std::size_t place) {
    auto& table = out_.tables[place];
    for (const auto& chain : table.chains)
      for (const auto& rule : chain.rules)
        for (const auto& statement : rule.statements) {
          if (statement.right.kind != NftValue::Kind::name) continue;
          const auto found = sets_.find({place, statement.right.text});
          if (found == sets_.end())
            return fail(ErrorCode::malformed, fmt::format("rule {} of chain {} uses set {}, which is not there",
                                                          rule.handle, chain.name, statement.right.text));
          auto& set = table.sets[found->second];
          if (statement.kind != NftStatement::Kind::match && statement.kind != NftStatement::Kind::vmap)
            set.changes = true;
          if (statement.kind == NftStatement::Kind::vmap && set.judgements.size() != set.elements.size())
            return fail(ErrorCode::malformed, fmt::format("{} is not a verdict map", set.name));
        }
    return {};
  }

  std::vector<const NftJudgement*> jumps_of(std::size_t table, const NftChain& chain) const {
    std::vector<const NftJudgement*> out;
    const auto add = [&](const NftJudgement& one) {
      if (one.verdict == NftVerdict::jump || one.verdict == NftVerdict::go_to) out.push_back(&one);
    };
    for (const auto& rule : chain.rules)
      for (const auto& statement : rule.statements) {
        if (statement.kind == NftStatement::Kind::verdict) add(statement.judgement);
        for (const auto& [key, judgement] : statement.elements) add(judgement);
        if (statement.kind == NftStatement::Kind::vmap && statement.right.kind == NftValue::Kind::name)
          for (const auto& judgement : out_.tables[table].sets[sets_.at({table, statement.right.text})].judgements)
            add(judgement);
      }
    return out;
  }

  Result<std::size_t> depth_of(std::size_t table, const NftChain& chain) {
    auto [known, is_new] = depths_.try_emplace(&chain, 0);
    if (!is_new && known->second == 0)
      return fail(ErrorCode::malformed, fmt::format("chain {} leads back to itself", chain.name));
    if (!is_new) return known->second;
    if (++nesting_ > detail::nft_jump_cap + 1)
      return fail(ErrorCode::limit, fmt::format("jumps nest deeper than {}", detail::nft_jump_cap));
    std::size_t deepest = 0;
    for (const auto* jump : jumps_of(table, chain)) {
      const auto target = chains_.find({table, jump->chain});
      if (target == chains_.end())
        return fail(ErrorCode::malformed, fmt::format("a jump to chain {}, which is not there", jump->chain));
      deepest = std::max(deepest, TRY(depth_of(table, out_.tables[table].chains[target->second])));
    }
    --nesting_;
    return depths_[&chain] = deepest + 1;
  }

  Result<void> check_jumps(std::size_t table) {
    nesting_ = 0;
    for (const auto& chain : out_.tables[table].chains) TRY(depth_of(table, chain));
    return {};
  }

  NftRuleset out_;
  std::map<std::pair<NftFamily, std::string>, std::size_t> tables_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> chains_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> sets_;
  std::map<const NftChain*, std::size_t> depths_;  ///< 0 while it is looked at
  std::size_t nesting_ = 0;
  std::size_t rule_count_ = 0;
  std::size_t element_count_ = 0;
};

}  // namespace

const NftChain* NftTable::chain(std::string_view wanted) const {
  const auto found = std::find_if(chains.begin(), chains.end(), [&](const auto& one) { return one.name == wanted; });
  return found == chains.end() ? nullptr : &*found;
}

const NftSet* NftTable::set(std::string_view wanted) const {
  const auto found = std::find_if(sets.begin(), sets.end(), [&](const auto& one) { return one.name == wanted; });
  return found == sets.end() ? nullptr : &*found;
}

Result<NftRuleset> decode_nft(Bytes text) {
  const auto read = [&]() -> Result<NftRuleset> { return Decoder().decode(TRY(json::parse(text))); };
  auto ruleset = read();
  if (ruleset) return ruleset;
  auto error = std::move(ruleset).error().in("nftables ruleset");
  error.remedy = remedy;
  return fail(std::move(error));
}

}  // namespace ingot::codec
