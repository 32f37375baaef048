#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

nlohmann::json ear(const Verdict& verdict, check::EarTerms terms = {}) {
  return nlohmann::json::parse(check::ear_claims(verdict, terms));
}

}  // namespace

TEST_CASE("chain: every event of the boot is a link, in order, and a healthy boot has no broken one") {
  const auto verdict = verdict_on(reference());
  std::size_t expected = 0;
  for (const auto& event : baseline().events) expected += event.optional_block.empty() ? 1 : 0;
  expected += platform().events.size();
  CHECK(verdict.chain.size() >= expected);
  for (const auto& link : verdict.chain) {
    CHECK(link.state == Verdict::LinkState::matches);
    CHECK(link.expected == link.observed);
    CHECK_FALSE(link.cause.empty());
  }
}

TEST_CASE("chain: what differs, is missing or too much is one link each, and the rest still matches") {
  const auto states = [](const Verdict& verdict) {
    std::map<Verdict::LinkState, std::size_t> found;
    for (const auto& link : verdict.chain) ++found[link.state];
    found.erase(Verdict::LinkState::matches);
    return found;
  };
  using State = Verdict::LinkState;
  const auto differs =
      verdict_on(machine_with([](auto& log) { event_of(log, 11, 7) = other_digest(event_of(log, 11, 7)); }));
  CHECK(states(differs) == std::map<State, std::size_t>{{State::differs, 1}});
  const auto missing = verdict_on(machine_with([](auto& log) { log.events.erase(place_of(log, 11, 12)); }));
  CHECK(states(missing) == std::map<State, std::size_t>{{State::missing, 1}});
  const auto added = verdict_on(machine_with([](auto& log) {
    const auto event = other_digest(event_of(log, 11, 3));
    log.events.insert(place_of(log, 11, 3), event);
    log.events.push_back(action(12, "x"));
  }));
  CHECK(states(added) == std::map<State, std::size_t>{{State::unexpected, 2}});
}

TEST_CASE("report: stages are whole or broken, and nothing of a node gets out of its place") {
  const auto good = check::render_report(verdict_on(reference()));
  CHECK(contains(good, "<span class=\"word\">trusted</span>"));
  CHECK(count(good, "class=\"stage broken\"") == 0);
  CHECK(count(good, "class=\"stage\"") == 11);
  const auto hostile = machine_with([](auto& log) {
    auto evil = action(12, "<script>alert(1)</script>\"&");
    evil.type = EventType::EV_IPL;
    log.events.push_back(evil);
  });
  const auto bad = check::render_report(verdict_on(hostile));
  CHECK(contains(bad, "<span class=\"word\">untrusted</span>"));
  CHECK(count(bad, "class=\"stage broken\"") == 1);
  CHECK(count(bad, "<script") == 0);
  CHECK(contains(bad, "&lt;script&gt;"));
  CHECK(count(bad, "http://") + count(bad, "https://") == 0);
}

TEST_CASE("ear: a trusted node affirms what was judged and claims nothing else") {
  const check::EarTerms terms{1'800'000'000, 1'800'000'300, "gpu-07", Buffer(16, 5)};
  const auto claims = ear(verdict_on(reference()), terms);
  CHECK(claims["eat_profile"] == "tag:ietf.org,2026:rats/ear#05");
  CHECK(claims["iat"] == 1'800'000'000);
  CHECK(claims["exp"] == 1'800'000'300);
  CHECK(claims["ear_status"] == "affirming");
  const auto& node = claims["submods"]["gpu-07"];
  CHECK(node["ear_status"] == "affirming");
  CHECK(node["eat_nonce"] == "BQUFBQUFBQUFBQUFBQUFBQ==");
  CHECK(node["ear_trustworthiness_vector"] ==
        nlohmann::json({{"instance-identity", 2}, {"configuration", 2}, {"executables", 2}, {"hardware", 2}}));
  // What a node says of its own name is in no claim, and nothing vouches for its identity, unless it is enrolled.
  const auto stranger = ear(verdict_on(reference()));
  CHECK(stranger["submods"].size() == 1);
  CHECK_FALSE(stranger["submods"].at("node")["ear_trustworthiness_vector"].contains("instance-identity"));
  CHECK(stranger.dump().find(reference().node) == std::string::npos);
}

TEST_CASE("ear: no finding leaves the status affirming, and it says which claim it takes away") {
  const auto vector_of = [](const Verdict& verdict) {
    const auto claims = ear(verdict);
    CHECK(claims["ear_status"] == "contraindicated");
    return claims["submods"]["node"]["ear_trustworthiness_vector"];
  };
  const auto cmdline =
      vector_of(verdict_on(machine_with([](auto& log) { event_of(log, 11, 5) = other_digest(event_of(log, 11, 5)); })));
  CHECK(cmdline["executables"] == 96);
  CHECK(cmdline["configuration"] == 2);
  const auto firmware =
      vector_of(verdict_on(machine_with([](auto& log) { event_of(log, 0, 2) = other_digest(event_of(log, 0, 2)); })));
  CHECK(firmware["hardware"] == 96);
  auto unsigned_evidence = reference();
  unsigned_evidence.quote_attest.clear();
  CHECK(vector_of(verdict_on(unsigned_evidence))["instance-identity"] == 97);
  for (const auto kind : finding_kinds()) {
    Verdict verdict;
    verdict.pcrs.push_back({});
    verdict.findings.push_back({kind, "x", "", "", "", Remedy::investigate});
    INFO(to_text(kind));
    CHECK(ear(verdict)["ear_status"] == "contraindicated");
  }
  CHECK(ear(Verdict{})["ear_status"] == "contraindicated");  // nothing was judged
}
