#include "ingot/check/segment.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace ingot;
using check::Flow;
using check::Host;
using check::Interface;
using check::Topology;
using check::ViolationKind;
using codec::NftRuleset;

namespace {

std::string match(std::string_view protocol, std::string_view field, std::string_view value) {
  return R"({"match": {"op": "==", "left": {"payload": {"protocol": ")" + std::string(protocol) + R"(", "field": ")" +
         std::string(field) + R"("}}, "right": )" + std::string(value) + "}}";
}

/// Chains of one table: hook, policy and rules.
struct Chain {
  std::string hook;
  std::string policy;
  std::vector<std::string> rules;
  std::string type = "filter";
};

NftRuleset ruleset(const std::vector<Chain>& chains) {
  std::string text = R"({"nftables": [{"table": {"family": "inet", "name": "t", "handle": 1}})";
  int handle = 1;
  for (const auto& chain : chains) {
    text += R"(, {"chain": {"family": "inet", "table": "t", "name": ")" + chain.hook + R"(", "handle": 1, "type": ")" +
            chain.type + R"(", "hook": ")" + chain.hook + R"(", "prio": 0, "policy": ")" + chain.policy + "\"}}";
    for (const auto& rule : chain.rules)
      text += R"(, {"rule": {"family": "inet", "table": "t", "chain": ")" + chain.hook + R"(", "handle": )" +
              std::to_string(++handle) + R"(, "expr": [)" + rule + "]}}";
  }
  return codec::decode_nft(as_bytes(text + "]}")).value();
}

const std::string established =
    R"({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "established"}}, {"accept": null})";

/// Lets everything out, and only this TCP port in.
NftRuleset serving(int port) {
  return ruleset(
      {{"input", "drop", {established, match("tcp", "dport", std::to_string(port)) + R"(, {"accept": null})"}}});
}

Interface on(const std::string& segment, const std::string& address, const std::string& route) {
  return {segment, segment, {*IpRange::parse(address)}, {}, {*IpRange::parse(route)}, {}};
}

check::SegmentReport prove(const Topology& topology) { return check::check_segments(topology).value(); }

std::size_t count(const check::SegmentReport& report, ViolationKind kind) {
  std::size_t found = 0;
  for (const auto& one : report.violations) found += one.kind == kind ? 1 : 0;
  return found;
}

/// a and b on one network, b and c on another.
Topology row_of_three() {
  Topology out;
  out.hosts = {
      {"a", {on("left", "10.1.0.1", "10.1.0.0/24")}, false, serving(1)},
      {"b", {on("left", "10.1.0.2", "10.1.0.0/24"), on("right", "10.2.0.2", "10.2.0.0/24")}, false, serving(80)},
      {"c", {on("right", "10.2.0.3", "10.2.0.0/24")}, false, serving(22)},
  };
  return out;
}

const Flow anything_to_b{"web", {"a", "c"}, {"b"}, "", {{6, 80, 80}}};

}  // namespace

TEST_CASE("segment: a host in between is a way, unless it is trusted; direct ways are told apart") {
  auto topology = row_of_three();
  check::Never never{"never", {"a"}, {"c"}, {}, "", false, {}};
  topology.never = {never};
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);
  topology.never[0].through_hosts = true;
  const auto report = prove(topology);
  REQUIRE(count(report, ViolationKind::forbidden) == 1);
  for (const auto& one : report.violations) {
    if (one.kind != ViolationKind::forbidden) continue;
    REQUIRE(one.steps.size() == 2);
    CHECK(one.steps[0].packet.destination_port == 80);
    CHECK(one.steps[1].packet.destination_port == 22);
    CHECK(to_text(one.steps[1].packet.destination) == "10.2.0.3");
  }
  CHECK(report.through == std::vector<std::pair<std::string, std::string>>{{"a", "c"}, {"c", "a"}});
  topology.never[0].trusted = {"b"};
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);
}

TEST_CASE("segment: a router is a direct way, as far as its forward chain says") {
  auto topology = row_of_three();
  topology.hosts[0].interfaces[0].routes.push_back(*IpRange::parse("0.0.0.0/0"));
  topology.never = {{"never", {"a"}, {"c"}, {}, "", false, {}}};
  topology.hosts[1].forwards = true;
  CHECK(count(prove(topology), ViolationKind::forbidden) == 1);
  topology.hosts[1].ruleset = ruleset({{"forward", "drop", {}}});
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);
  topology.hosts[1].ruleset =
      ruleset({{"forward", "drop", {match("tcp", "dport", "22") + R"(, {"limit": {"rate": 1}}, {"accept": null})"}}});
  CHECK(count(prove(topology), ViolationKind::forbidden) == 1);
  topology.hosts[1].ruleset = ruleset({{"forward", "drop", {match("tcp", "dport", "23") + R"(, {"accept": null})"}}});
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);
}

TEST_CASE("segment: a router that translates destinations opens what it translates to") {
  auto topology = row_of_three();
  topology.hosts[1].forwards = true;
  topology.never = {{"never", {"a"}, {"c"}, {}, "", false, {}}};
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);  // no route there
  topology.hosts[1].ruleset =
      ruleset({{"prerouting",
                "accept",
                {match("tcp", "dport", "80") + R"(, {"dnat": {"addr": "10.2.0.3", "port": 22}})"},
                "nat"}});
  CHECK(count(prove(topology), ViolationKind::forbidden) == 1);
  topology.hosts[1].ruleset =
      ruleset({{"prerouting",
                "accept",
                {match("tcp", "dport", "80") + R"(, {"dnat": {"addr": "10.2.0.3", "port": 23}})"},
                "nat"}});
  CHECK(count(prove(topology), ViolationKind::forbidden) == 0);
}

TEST_CASE("segment: what may or may not be is against the claim, whichever it is") {
  struct Row {
    const char* name;
    std::string rule;  ///< before the one that accepts port 80
    bool works;
    bool is_closed;
  };
  const auto port = [](int number) { return match("tcp", "dport", std::to_string(number)); };
  const Row rows[] = {
      {"nothing more", R"({"counter": null})", true, true},
      {"a limit that drops", port(80) + R"(, {"limit": {"rate": 1}}, {"drop": null})", false, true},
      {"a limit that accepts what is accepted anyway", port(80) + R"(, {"limit": {"rate": 1}}, {"accept": null})", true,
       true},
      {"a limit that accepts another port", port(81) + R"(, {"limit": {"rate": 1}}, {"accept": null})", true, false},
      {"an unknown match that drops", R"({"aura": 1}, {"drop": null})", false, false},
      {"an unknown statement", R"({"aura": 1})", false, false},
      {"a queue", port(81) + R"(, {"queue": {"num": 1}})", true, false},
      {"a mark that accepts",
       R"({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}, {"accept": null})", true, false},
      {"a helper", port(80) + R"(, {"ct helper": "ftp"})", true, true},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto topology = row_of_three();
    topology.flows = {
        anything_to_b, {"rest", {"b"}, {"a"}, "", {{6, 1, 1}}}, {"more", {"b"}, {"c"}, "", {{6, 22, 22}}}};
    // Link-local addresses and broadcasts are no flow's.
    const std::string no_v6 =
        R"({"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv6"}}, {"drop": null})";
    const std::string others =
        R"({"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"set": ["10.1.0.2", "10.2.0.2"]}}}, {"drop": null})";
    topology.hosts[1].ruleset =
        ruleset({{"input", "drop", {established, no_v6, others, row.rule, port(80) + R"(, {"accept": null})"}}});
    const auto report = prove(topology);
    CHECK((count(report, ViolationKind::broken) == 0) == row.works);
    const bool is_closed = std::none_of(report.violations.begin(), report.violations.end(), [](const auto& one) {
      return one.kind == ViolationKind::not_a_flow && one.steps.front().to == "b";
    });
    CHECK(is_closed == row.is_closed);
  }
}

TEST_CASE("segment: names that are not there are refused") {
  auto topology = row_of_three();
  topology.flows = {{"x", {"a"}, {"nobody"}, "", {}}};
  CHECK_FALSE(check::check_segments(topology));
  topology = row_of_three();
  topology.hosts[0].interfaces[0].vxlan = Interface::Vxlan{"none", 4789, 1, {}};
  CHECK_FALSE(check::check_segments(topology));
}
