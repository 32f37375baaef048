#include "ingot/codec/evidence.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"

using namespace ingot;

namespace {

Evidence example() {
  auto evidence = test::captured("uki-boot-257");
  evidence.userspace_log = to_buffer(as_bytes("\x1E{}\n"));
  evidence.ima_log = {1, 2};
  evidence.ek_certificate = {3};
  evidence.os_release = "ID=debian\n";
  evidence.agent_version = "0.1";
  evidence.report = NodeReport{{{"sshd", "port 22\n"}, {"nft.error", "there is no /usr/sbin/nft"}}};
  return evidence;
}

Result<Evidence> decode(const nlohmann::json& document) { return codec::decode_evidence(as_bytes(document.dump())); }

nlohmann::json small() { return nlohmann::json::parse(codec::encode_evidence(Evidence{})); }

}  // namespace

TEST_CASE("evidence: what is encoded is decoded, and nothing but its whole") {
  const auto evidence = example();
  CHECK(codec::decode_evidence(as_bytes(codec::encode_evidence(evidence))).value() == evidence);
  CHECK(codec::decode_evidence(as_bytes(codec::encode_evidence({}))).value() == Evidence{});
  const auto text = codec::encode_evidence({});
  test::rejects_every_prefix(as_bytes(text).first(text.size() - 1), codec::decode_evidence);
}

TEST_CASE("evidence: malformed files are refused") {
  REQUIRE(decode(small()));
  struct Row {
    const char* defect;
    std::function<void(nlohmann::json&)> damage;
  };
  const Row rows[] = {
      {"no format", [](auto& e) { e.erase("format"); }},
      {"another format", [](auto& e) { e["format"] = "ingot-evidence/2"; }},
      {"unknown member", [](auto& e) { e["pcr"] = 1; }},
      {"no PCR values", [](auto& e) { e.erase("pcrs"); }},
      {"PCR values as array", [](auto& e) { e["pcrs"] = nlohmann::json::array(); }},
      {"unknown bank", [](auto& e) { e["pcrs"]["sha3"] = nlohmann::json::object(); }},
      {"PCR 24", [](auto& e) { e["pcrs"]["sha256"]["24"] = std::string(64, '0'); }},
      {"PCR 01", [](auto& e) { e["pcrs"]["sha256"]["01"] = std::string(64, '0'); }},
      {"PCR -1", [](auto& e) { e["pcrs"]["sha256"]["-1"] = std::string(64, '0'); }},
      {"PCR value of the wrong length", [](auto& e) { e["pcrs"]["sha256"]["1"] = std::string(62, '0'); }},
      {"PCR value that is no hexadecimal", [](auto& e) { e["pcrs"]["sha256"]["1"] = std::string(64, 'x'); }},
      {"event log that is no base64", [](auto& e) { e["event_log"] = "*"; }},
      {"nonce as number", [](auto& e) { e["nonce"] = 5; }},
      {"no quote", [](auto& e) { e.erase("quote"); }},
      {"quote as text", [](auto& e) { e["quote"] = ""; }},
      {"report as array", [](auto& e) { e["report"] = nlohmann::json::array(); }},
      {"report with a part that is no text", [](auto& e) { e["report"]["sshd"] = 1; }},
      {"report with too many parts",
       [](auto& e) {
         for (int i = 0; i < 200; ++i) e["report"][std::to_string(i)] = "";
       }},
      {"unknown member of the quote", [](auto& e) { e["quote"]["pcrs"] = ""; }},
  };
  for (const auto& row : rows) {
    INFO(row.defect);
    auto document = small();
    row.damage(document);
    CHECK_FALSE(decode(document));
  }
  CHECK_FALSE(codec::decode_evidence(as_bytes("{\"format\":\"ingot-evidence/1\",\"format\":\"ingot-evidence/1\"}")));
  CHECK_FALSE(codec::decode_evidence(as_bytes(std::string(1u << 20, '['))));
}

TEST_CASE("evidence: texts of a node that are no UTF-8 do not break the file") {
  Evidence evidence;
  evidence.kernel_command_line = "quiet \xFF";
  CHECK(codec::decode_evidence(as_bytes(codec::encode_evidence(evidence))).value().kernel_command_line ==
        "quiet \xEF\xBF\xBD");
}

TEST_CASE("quote binding: as the format says, and every field counts") {
  Evidence evidence;
  evidence.node = "n";
  evidence.nonce = {0xAA};
  // (printf 'ingot-quote/1\0\0\0\0\1\xaa\0\0\0\1n\0\0\0\0'; for i in 1 2 3; do printf '' | sha256sum | xxd -r -p; done)
  // | sha256sum
  CHECK(to_hex(codec::quote_binding(evidence)) == "a9faeb2da55054f4e4598654e93bfacd51234eb1727ee250ba166a1b1c388906");
  const auto base = codec::quote_binding(evidence);
  const std::function<void(Evidence&)> changes[] = {
      [](Evidence& e) { e.node = "m"; },
      [](Evidence& e) { e.nonce = {0xAB}; },
      [](Evidence& e) { e.event_log = {0}; },
      [](Evidence& e) { e.userspace_log = {0}; },
      [](Evidence& e) { e.channel_binding = {7}; },
      [](Evidence& e) { e.ima_log = {0}; },
      [](Evidence& e) { e.report = NodeReport{}; },
      [](Evidence& e) {
        e.report = NodeReport{{{"sshd", "port 22"}}};
      },
      [](Evidence& e) {
        e.node = "", e.nonce = {0xAA, 'n'};
      },
  };
  for (const auto& change : changes) {
    auto changed = evidence;
    change(changed);
    CHECK(codec::quote_binding(changed) != base);
  }
}
