#include "ingot/codec/exports.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"
#include "ingot/codec/cel.hpp"

using namespace ingot;
using namespace ingot::test;

TEST_CASE("export: what varies is in none of the forms that give one value") {
  auto varying = platform();
  for (auto& event : varying.events)
    if (event.pcr == 0 && event.cause == "PEIFV") event.alternatives.push_back(event.digests);
  const auto policy = nlohmann::json::parse(codec::export_keylime_tpm_policy(baseline(), &varying));
  CHECK_FALSE(policy.contains("0"));
  CHECK(policy.at("3").size() == 2);
  CHECK(policy.at("11") == nlohmann::json::array({to_hex(reference().pcrs.at(HashAlg::sha256).at(11)),
                                                  to_hex(reference().pcrs.at(HashAlg::sha384).at(11))}));
  CHECK_FALSE(nlohmann::json::parse(codec::export_keylime_tpm_policy(baseline(), nullptr)).contains("3"));
  for (const auto& [name, text] : codec::export_pcrlock(baseline(), &varying)) {
    if (name != "200-ingot-platform-pcr00.pcrlock") continue;
    CHECK(nlohmann::json::parse(text).at("records").size() == 3);
  }
}

TEST_CASE("export: Keylime's runtime policy has every file of the image") {
  const auto policy = nlohmann::json::parse(codec::export_keylime_runtime_policy(
      {{"/usr/bin/ls", std::string(64, '1')}, {"/usr/bin/cat", std::string(64, '2')}}));
  CHECK(policy.at("meta").at("version") == 1);
  CHECK(policy.at("digests").size() == 2);
  CHECK(policy.at("digests").at("/usr/bin/cat") == nlohmann::json::array({std::string(64, '2')}));
  for (const auto* member : {"release", "excludes", "keyrings", "ima", "ima-buf", "verification-keys"})
    CHECK(policy.contains(member));
}

TEST_CASE("export: the expected events as a canonical event log lead to the values that are expected") {
  const auto records = codec::decode_cel_json(as_bytes(codec::export_cel_json(baseline(), &platform()))).value();
  PcrBank bank;
  for (const auto& record : records)
    codec::extend_into(bank, HashAlg::sha256, record.pcr, record.digests.at(HashAlg::sha256));
  for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 11u})
    CHECK(bank.at(pcr) == reference().pcrs.at(HashAlg::sha256).at(pcr));
}
