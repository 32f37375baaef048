#include "ingot/codec/exports.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"
#include "ingot/codec/cel.hpp"
#include "ingot/codec/esl.hpp"

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

TEST_CASE("export: Keylime's measured-boot state has each firmware of the class, the keys and the UKI") {
  auto varying = platform();
  for (auto& event : varying.events)
    if (event.pcr == 0 && event.cause == "PEIFV") event.alternatives.push_back(crypto::hash_banks(Buffer{1}));
  const Guid owner = make_guid("605dab50-e046-4300-abb6-3dd810dd8b23");
  const auto list = codec::encode_signature_lists({{codec::efi_cert_sha256_guid, {}, {{owner, Buffer(32, 0xAB)}}}});
  const std::vector<codec::Variable> variables = {{"dbx", codec::efi_image_security_database_guid, 0, {}, list}};
  const auto state = nlohmann::json::parse(codec::export_keylime_measured_boot(baseline(), varying, variables).value());
  // What Keylime's own check of the form asks for (keylime/mba/elchecking/example.py).
  for (const auto* member : {"pk", "kek", "db", "dbx", "mokdig", "mokxdig"}) CHECK(state.at(member).is_array());
  REQUIRE(state.at("scrtm_and_bios").size() == 2);
  for (const auto& way : state.at("scrtm_and_bios")) {
    CHECK(way.at("scrtm").at("sha256").get<std::string>().starts_with("0x96a296d224f2"));
    CHECK(way.at("platform_firmware").size() == 2);
  }
  CHECK(state.at("scrtm_and_bios")[0] != state.at("scrtm_and_bios")[1]);
  CHECK(state.at("dbx")[0].at("SignatureOwner") == "605dab50-e046-4300-abb6-3dd810dd8b23");
  CHECK(state.at("dbx")[0].at("SignatureData") == "0x" + to_hex(Buffer(32, 0xAB)));
  CHECK(state.at("kernels")[0].at("uki_authcode_sha256") == "0x" + baseline().uki_authenticode_sha256);
  CHECK(codec::export_keylime_measured_boot(baseline(), varying,
                                            {{"db", codec::efi_image_security_database_guid, 0, {}, {1, 2}}})
            .error()
            .code == ErrorCode::malformed);
  // What another vendor calls db is not firmware's.
  const auto foreign = nlohmann::json::parse(
      codec::export_keylime_measured_boot(baseline(), varying, {{"db", owner, 0, {}, list}}).value());
  CHECK(foreign.at("db").empty());
  // A volume that only some machines have.
  for (auto& event : varying.events)
    if (event.pcr == 0 && event.cause == "DXEFV") event.optional_block = "DXEFV";
  const auto some = nlohmann::json::parse(codec::export_keylime_measured_boot(baseline(), varying, {}).value());
  CHECK(some.at("scrtm_and_bios").size() == 4);
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
