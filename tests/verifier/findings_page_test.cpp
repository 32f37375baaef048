#include <catch2/catch.hpp>
#include <set>

#include "ingot/base/source.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/grammar.hpp"

using namespace ingot;

TEST_CASE("findings: the page is what the tables say") {
  const auto page = read_file(std::string(INGOT_SOURCE) + "/verifier/check/FINDINGS.md", 1u << 20);
  REQUIRE(page);
  // Renewed by:  build/release/ingot findings > verifier/check/FINDINGS.md
  CHECK(as_text(*page) == check::render_findings_page());
}

TEST_CASE("findings: each kind stands in its own row") {
  std::set<std::string> names;
  for (const auto kind : finding_kinds()) names.insert(to_text(kind));
  CHECK(names.size() == finding_kinds().size());
  std::size_t index = 0;
  for (const auto kind : finding_kinds()) CHECK(static_cast<std::size_t>(kind) == index++);
  CHECK(to_text(FindingKind::signature_invalid) == "signature-invalid");
  index = 0;
  for (const auto kind : check::log_problem_kinds()) CHECK(static_cast<std::size_t>(kind) == index++);
  CHECK(to_text(check::LogProblemKind::digest_not_of_data) == "digest-not-of-data");
}
