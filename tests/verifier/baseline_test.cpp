#include "ingot/codec/baseline.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"

using namespace ingot;

namespace {

Platform example_platform() {
  const ExpectedEvent event{0, EventType::EV_SEPARATOR, crypto::hash_banks(Buffer(4, 0)), "separator", "", ""};
  return {"lab", std::string(64, 'a'), "q35, 2048 MiB", 3, {event}, {{HashAlg::sha256, {{0, Buffer(32, 1)}}}}};
}

Buffer bytes(const nlohmann::json& document) { return to_buffer(as_bytes(document.dump())); }

}  // namespace

TEST_CASE("baseline statement: decoded and encoded to the same bytes") {
  const auto text = test::vector_file("uki-boot-257.baseline.json");
  const auto baseline = codec::decode_baseline_statement(text).value();
  CHECK(baseline.profile == "mini");
  CHECK(baseline.stub == "257");
  CHECK(codec::encode_baseline_statement(baseline) == as_text(text));
  test::rejects_every_prefix(text, codec::decode_baseline_statement);
}

TEST_CASE("baseline statement: is an in-toto statement about the UKI") {
  const auto statement = nlohmann::json::parse(test::vector_file("uki-boot-257.baseline.json"));
  CHECK(statement["_type"] == "https://in-toto.io/Statement/v1");
  CHECK(statement["predicateType"] == "https://ingot.dev/baseline/v1");
  CHECK(statement["subject"][0]["digest"]["sha256"] == statement["predicate"]["uki_sha256"]);
}

TEST_CASE("baseline statement: settings are kept, and each area has a name") {
  auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  for (int area = 0; area <= static_cast<int>(SettingArea::file); ++area) {
    const auto value = static_cast<SettingArea>(area);
    CHECK(parse_setting_area(to_text(value)) == value);
    baseline.settings.push_back({value, "a", "1", "/etc/a", "KSPP", "why"});
  }
  CHECK_FALSE(parse_setting_area(""));
  baseline.settings.push_back({SettingArea::socket, "tcp 0.0.0.0:22", "", "", "", ""});
  const auto text = codec::encode_baseline_statement(baseline);
  CHECK(codec::decode_baseline_statement(as_bytes(text)).value() == baseline);
  const auto damaged = [&](const std::function<void(nlohmann::json&)>& damage) {
    auto document = nlohmann::json::parse(text);
    damage(document["predicate"]["settings"]);
    return !codec::decode_baseline_statement(bytes(document));
  };
  CHECK(damaged([](auto& settings) { settings[0]["area"] = "ssh"; }));
  CHECK(damaged([](auto& settings) { settings[0].erase("value"); }));
  CHECK(damaged([](auto& settings) { settings[0]["relaxed"] = true; }));
  CHECK(damaged([](auto& settings) { settings[0]["why"] = "x"; }));
  CHECK(damaged([](auto& settings) { settings = "none"; }));
}

TEST_CASE("baseline statement: volumes are kept in their order, with who can make them") {
  auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  CHECK(baseline.volumes.empty());
  baseline.volumes = {{"state", VolumeMaker::in_place}, {"models", VolumeMaker::any}, {"a", VolumeMaker::shares}};
  const auto text = codec::encode_baseline_statement(baseline);
  CHECK(codec::decode_baseline_statement(as_bytes(text)).value() == baseline);
  for (const nlohmann::json& wrong :
       {nlohmann::json("none"), nlohmann::json::array({{{"name", "a"}}}), nlohmann::json::array({{{"maker", "any"}}}),
        nlohmann::json::array({{{"name", "a"}, {"maker", "nobody"}}}),
        nlohmann::json::array({{{"name", "a"}, {"maker", "any"}, {"size", 1}}})}) {
    INFO(wrong);
    auto document = nlohmann::json::parse(text);
    document["predicate"]["volumes"] = wrong;
    CHECK_FALSE(codec::decode_baseline_statement(bytes(document)));
  }
}

TEST_CASE("baseline statement: modules are kept, and a digest that is none is refused") {
  auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  CHECK(baseline.modules.empty());
  const std::string digest(64, 'a');
  baseline.modules = {{"nvidia", digest, "CN=db"}, {"nvidia_uvm", std::string(64, '0'), "CN=db"}};
  const auto text = codec::encode_baseline_statement(baseline);
  CHECK(codec::decode_baseline_statement(as_bytes(text)).value() == baseline);
  for (const nlohmann::json& wrong :
       {nlohmann::json("none"), nlohmann::json::array({{{"name", "a"}, {"sha256", digest}}}),
        nlohmann::json::array({{{"name", "a"}, {"sha256", "aa"}, {"signer", "x"}}}),
        nlohmann::json::array({{{"name", "a"}, {"sha256", std::string(64, 'A')}, {"signer", "x"}}}),
        nlohmann::json::array({{{"name", "a"}, {"sha256", std::string(64, 'g')}, {"signer", "x"}}}),
        nlohmann::json::array({{{"name", "a"}, {"sha256", digest}, {"signer", "x"}, {"path", "/"}}})}) {
    INFO(wrong);
    auto document = nlohmann::json::parse(text);
    document["predicate"]["modules"] = wrong;
    CHECK_FALSE(codec::decode_baseline_statement(bytes(document)));
  }
}

TEST_CASE("baseline statement: a generation is kept; releases from before there were any have none") {
  auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  CHECK(baseline.generation == 0);
  baseline.generation = 7;
  const auto text = codec::encode_baseline_statement(baseline);
  CHECK(codec::decode_baseline_statement(as_bytes(text)).value() == baseline);
  for (const nlohmann::json& wrong :
       {nlohmann::json(0), nlohmann::json(-1), nlohmann::json("7"), nlohmann::json(1ull << 32)}) {
    INFO(wrong);
    auto document = nlohmann::json::parse(text);
    document["predicate"]["generation"] = wrong;
    CHECK_FALSE(codec::decode_baseline_statement(bytes(document)));
  }
}

TEST_CASE("baseline statement: values of PCR 7 that are to come are kept; without any there is no member") {
  auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  CHECK(codec::encode_baseline_statement(baseline).find("next_pcr7") == std::string::npos);
  baseline.next_pcr_7 = {Digest(32, 1), Digest(32, 2)};
  const auto text = codec::encode_baseline_statement(baseline);
  CHECK(codec::decode_baseline_statement(as_bytes(text)).value() == baseline);
  for (const nlohmann::json& wrong : {nlohmann::json("00"), nlohmann::json::array({"00"}), nlohmann::json::array({1}),
                                      nlohmann::json::array({std::string(96, '0')}),
                                      nlohmann::json(std::vector<std::string>(33, std::string(64, '0')))}) {
    INFO(wrong);
    auto document = nlohmann::json::parse(text);
    document["predicate"]["next_pcr7"] = wrong;
    CHECK_FALSE(codec::decode_baseline_statement(bytes(document)));
  }
}

TEST_CASE("platform statement: what is encoded is decoded") {
  const auto platform = example_platform();
  const auto text = codec::encode_platform_statement(platform);
  CHECK(codec::decode_platform_statement(as_bytes(text)).value() == platform);
  CHECK(codec::encode_platform_statement(codec::decode_platform_statement(as_bytes(text)).value()) == text);
  test::rejects_every_prefix(as_bytes(text), codec::decode_platform_statement);
}

TEST_CASE("statements: one is not the other") {
  const auto error =
      codec::decode_baseline_statement(as_bytes(codec::encode_platform_statement(example_platform()))).error();
  CHECK(error.code == ErrorCode::unsupported);
  CHECK(error.message.find("platform/v1") != std::string::npos);
}

TEST_CASE("statements: malformed ones are refused") {
  const auto good = nlohmann::json::parse(codec::encode_platform_statement(example_platform()));
  struct Row {
    const char* defect;
    std::function<void(nlohmann::json& predicate)> damage;
  };
  const Row rows[] = {
      {"no events", [](auto& p) { p.erase("events"); }},
      {"events as object", [](auto& p) { p["events"] = nlohmann::json::object(); }},
      {"unknown member", [](auto& p) { p["pcr"] = 0; }},
      {"unknown member of an event", [](auto& p) { p["events"][0]["required"] = false; }},
      {"event without digests", [](auto& p) { p["events"][0]["digests"] = nlohmann::json::object(); }},
      {"digest of the wrong length", [](auto& p) { p["events"][0]["digests"]["sha256"] = "aa"; }},
      {"unknown digest", [](auto& p) { p["events"][0]["digests"]["md5"] = "aa"; }},
      {"event for PCR 24", [](auto& p) { p["events"][0]["pcr"] = 24; }},
      {"event of no type", [](auto& p) { p["events"][0]["type"] = "EV_NONE"; }},
      {"cause as number", [](auto& p) { p["events"][0]["cause"] = 1; }},
      {"PCR twice", [](auto& p) { p["pcrs"].push_back(p["pcrs"][0]); }},
      {"PCR value of the wrong length", [](auto& p) { p["pcrs"][0]["value"] = "aa"; }},
      {"a locality that no TPM has", [](auto& p) { p["startup_locality"] = 1; }},
      {"a negative locality", [](auto& p) { p["startup_locality"] = -3; }},
  };
  for (const auto& row : rows) {
    INFO(row.defect);
    auto document = good;
    row.damage(document["predicate"]);
    CHECK_FALSE(codec::decode_platform_statement(bytes(document)));
  }
  auto many = good;
  for (int i = 0; i < 5000; ++i) many["predicate"]["events"].push_back(many["predicate"]["events"][0]);
  CHECK(codec::decode_platform_statement(bytes(many)).error().code == ErrorCode::limit);
}
