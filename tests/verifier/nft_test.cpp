#include "ingot/codec/nft.hpp"

#include <catch2/catch.hpp>

using namespace ingot;
using codec::NftRuleset;
using codec::NftStatement;

namespace {

/// A document with one table, one chain, and `rest`.
std::string with(std::string_view rest) {
  return R"({"nftables": [{"metainfo": {"json_schema_version": 1}}, {"table": {"family": "inet", "name": "t", "handle": 1}},)"
         R"( {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 1}})" +
         std::string(rest.empty() ? "" : ", ") + std::string(rest) + "]}";
}
std::string rule(std::string_view statements, std::string_view chain = "c") {
  return R"({"rule": {"family": "inet", "table": "t", "chain": ")" + std::string(chain) +
         R"(", "handle": 5, "expr": [)" + std::string(statements) + "]}}";
}

Result<NftRuleset> decode(const std::string& text) { return codec::decode_nft(as_bytes(text)); }

NftStatement statement(std::string_view text) {
  const auto ruleset = decode(with(rule(text)));
  INFO(text);
  REQUIRE(ruleset);
  REQUIRE(ruleset->tables.at(0).chains.at(0).rules.at(0).statements.size() == 1);
  return ruleset->tables[0].chains[0].rules[0].statements[0];
}

}  // namespace

TEST_CASE("nft: what is malformed is refused, by what is wrong with it") {
  struct Row {
    const char* name;
    std::string text;
    const char* message;
  };
  const Row rows[] = {
      {"no JSON", "nftables", "not a JSON document"},
      {"cut off", with("").substr(0, 60), "not a JSON document"},
      {"no list", "{}", "no member \"nftables\""},
      {"two kinds in one object", R"({"nftables": [{"table": {}, "chain": {}}]})", "not one member"},
      {"unknown family", R"({"nftables": [{"table": {"family": "ipx", "name": "t"}}]})", "unknown family"},
      {"two tables of one name", with(R"({"table": {"family": "inet", "name": "t", "handle": 2}})"), "two tables"},
      {"chain of no table", R"({"nftables": [{"chain": {"family": "ip", "table": "t", "name": "c"}}]})", "not there"},
      {"two chains of one name", with(R"({"chain": {"family": "inet", "table": "t", "name": "c"}})"), "two chains"},
      {"unknown hook",
       with(R"({"chain": {"family": "inet", "table": "t", "name": "d", "type": "filter", "hook": "side", "prio": 0}})"),
       "unknown hook"},
      {"priority is a text",
       with(
           R"({"chain": {"family": "inet", "table": "t", "name": "d", "type": "filter", "hook": "input", "prio": "0"}})"),
       "\"prio\""},
      {"rule of no chain", with(rule("", "d")), "not there"},
      {"rule without a handle", with(R"({"rule": {"family": "inet", "table": "t", "chain": "c", "expr": []}})"),
       "no member \"handle\""},
      {"jump to no chain", with(rule(R"({"jump": {"target": "d"}})")), "not there"},
      {"chain that calls itself", with(rule(R"({"jump": {"target": "c"}})")), "leads back to itself"},
      {"set that is not there",
       with(rule(R"({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "@s"}})")), "not there"},
      {"unknown operator", with(rule(R"({"match": {"op": "~", "left": {"meta": {"key": "mark"}}, "right": 1}})")),
       "unknown operator"},
      {"map element without a verdict",
       with(rule(R"({"vmap": {"key": {"meta": {"key": "mark"}}, "data": {"set": [[1, {"log": null}]]}}})")),
       "not a verdict"},
      {"a set in the place of a verdict map",
       with(R"({"set": {"family": "inet", "table": "t", "name": "s", "type": "mark", "elem": [1]}}, )" +
            rule(R"({"vmap": {"key": {"meta": {"key": "mark"}}, "data": "@s"}})")),
       "not a verdict map"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto ruleset = decode(row.text);
    REQUIRE_FALSE(ruleset);
    CHECK(exit_status(ruleset.error().code) == 2);
    CHECK(describe(ruleset.error()).find(row.message) != std::string::npos);
  }
  CHECK(decode("{\"nftables\": [}").error().offset_bytes == 14);
}

TEST_CASE("nft: what is not known is kept, and never taken for something else") {
  using Kind = NftStatement::Kind;
  CHECK(statement(R"({"conjure": 1})").kind == Kind::unknown);
  CHECK(statement(R"("accept")").kind == Kind::unknown);
  CHECK(statement(R"({"match": {"op": "==", "left": {"aura": {"key": "blue"}}, "right": 1}})").left.kind ==
        codec::NftExpression::Kind::unknown);
  CHECK(
      statement(
          R"({"match": {"op": "==", "left": {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "saddr"}}, "right": 1}})")
          .left.kind == codec::NftExpression::Kind::unknown);
  CHECK(statement(R"({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {"aura": 1}}})").right.kind ==
        codec::NftValue::Kind::unknown);
  CHECK(statement(R"({"limit": {"rate": 1, "per": "second"}})").kind == Kind::sometimes);
  CHECK(statement(R"({"queue": {"num": 1}})").kind == Kind::queue);
  CHECK(statement(R"({"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}})").kind == Kind::harmless);
  CHECK(statement(R"({"mangle": {"key": {"payload": {"protocol": "ip", "field": "saddr"}}, "value": "10.0.0.1"}})")
            .kind == Kind::rewrite);
}

TEST_CASE("nft: a set that packets or time change proves nothing; flags that make no sense are unclear") {
  const auto ruleset = decode(with(
      R"({"set": {"family": "inet", "table": "t", "name": "a", "type": "ipv4_addr", "elem": ["10.0.0.1"]}}, )"
      R"({"set": {"family": "inet", "table": "t", "name": "b", "type": "ipv4_addr", "flags": ["timeout"]}}, )"
      R"({"set": {"family": "inet", "table": "t", "name": "d", "type": "ipv4_addr"}}, )" +
      rule(R"({"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@d"}})") +
      R"(, {"table": {"family": "ip", "name": "x", "flags": 80}}, {"table": {"family": "ip", "name": "y", "flags": ["dormant"]}})"));
  REQUIRE(ruleset);
  const auto& table = ruleset->tables.at(0);
  CHECK_FALSE(table.set("a")->changes);
  CHECK(table.set("b")->changes);
  CHECK(table.set("d")->changes);
  CHECK(table.state == codec::NftTable::State::active);
  CHECK(ruleset->tables.at(1).state == codec::NftTable::State::unclear);
  CHECK(ruleset->tables.at(2).state == codec::NftTable::State::dormant);
}

TEST_CASE("nft: rules read as nft writes them") {
  const auto ruleset = decode(with(rule(
      R"({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "storage"}},)"
      R"({"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},)"
      R"({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, {"range": [80, 90]}]}}},)"
      R"({"counter": "ssh"}, {"accept": null})")));
  REQUIRE(ruleset);
  CHECK(to_text(ruleset->tables[0].chains[0].rules[0]) ==
        "iifname \"storage\" ip saddr != 10.0.0.0/8 tcp dport { 22, 80-90 } counter name \"ssh\" accept");
}
