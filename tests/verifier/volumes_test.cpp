// Encrypted volumes: what their headers must say, the policy they are sealed under, and whether they are the node's
// own.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/luks_header.hpp"
#include "ingot/codec/state.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "ingot/measure/volume_policy.hpp"

using namespace ingot;
using namespace ingot::test;
using Json = nlohmann::json;

namespace {

const std::string recipient(64, 'c');
const Setting row = {SettingArea::volume,
                     "models",
                     "crypt aes-xts-plain64, key 512 bits, mapped models, pcrs sha256 7+15, signed pcrs 11, release "
                     "index, slots systemd-recovery+ingot-recovery systemd-tpm2, recovery " +
                         recipient,
                     "",
                     "",
                     ""};

/// A real header, with a recovery key beside the TPM's.
Json header() {
  auto json = Json::parse(codec::decode_luks_metadata(vector_file("luks2-debian13.bin")).value().json);
  json["keyslots"]["1"] = json["keyslots"]["0"];
  json["tokens"]["1"] = {{"type", "systemd-recovery"}, {"keyslots", {"1"}}};
  json["tokens"]["16"] = Json::parse(codec::encode_luks_recovery({recipient, {1}}, 1));
  json["tokens"]["0"]["tpm2_pcrlock"] = true;
  return json;
}
std::string line(const Json& json, const std::string& device = "vda4", const std::string& label = "models") {
  return device + "\tlabel " + label + "\tmapped models\tuuid U\theader " + json.dump() + "\n";
}

std::vector<Finding> findings_about(const std::string& part) {
  NodeReport report;
  for (const auto* name : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files"})
    report.parts[name] = "";
  report.parts["volumes"] = part;
  return check::check_settings({row}, report);
}

crypto::PublicKey policy_key() {
  const auto json = codec::decode_luks_json(header().dump()).value();
  return crypto::PublicKey::from_pem(json.token("systemd-tpm2")->tpm.policy_key_pem).value();
}

constexpr std::uint32_t generation = 3;
constexpr std::uint64_t count = 20;

Buffer key_name() {
  return codec::object_name(codec::encode_tpm_public(measure::policy_key_public(policy_key()).value())).value();
}
/// Of a node that has booted generation 3 and nothing newer.
codec::TpmNvPublic release_index() {
  return measure::release_index(measure::ReleasePolicy(key_name(), std::int64_t{count} - generation).digest());
}
std::string told(const codec::TpmNvPublic& index, std::uint64_t counter = count) {
  return fmt::format("counter {}\nindex {}\n", counter, to_hex(codec::encode_tpm_nv_public(index)));
}

/// Golden values of an image with this volume, whose .pcrpkey is the header's.
Baseline image() {
  auto out = baseline();
  out.settings = {row};
  out.generation = generation;
  for (auto& event : out.events)
    if (event.pcr == 11 && event.cause == ".pcrpkey") event.digests = crypto::hash_banks(as_bytes(policy_key().pem()));
  return out;
}
Json sealed_header() {
  auto json = header();
  const auto policy = measure::volume_policy(image(), platform(), policy_key()).value();
  json["tokens"]["0"]["tpm2-policy-hash"] = {to_hex(policy.digest),
                                             to_hex(measure::index_policy(policy.by_value, release_index()).value())};
  return json;
}

struct Measured {
  std::string text;
  std::string key;  ///< what was measured: of a volume, a digest that depends on its key
};
Verdict verdict_on_volume(const std::string& part, const std::vector<Measured>& measured,
                          const NodeState* last = nullptr, const Baseline& golden = image(),
                          const std::string& revocation = told(release_index())) {
  auto evidence = reference();
  std::vector<Event> log;
  for (const auto& one : measured) {
    const auto digests = crypto::hash_banks(as_bytes(one.key));
    for (auto& [bank, values] : evidence.pcrs) values[15] = codec::extend(bank, values[15], digests.at(bank));
    log.push_back({15, EventType::EV_IPL, digests, to_buffer(as_bytes(one.text))});
  }
  evidence.userspace_log = codec::encode_userspace_log(log);
  evidence.report.emplace();
  evidence.report->parts["volumes"] = part;
  if (!revocation.empty()) evidence.report->parts["revocation"] = revocation;
  sign(evidence, software_tpm());
  auto asked = question();
  asked.baseline = &golden;
  asked.last = last;
  return verdict_on(evidence, asked);
}
std::vector<std::string> volume_findings(const Verdict& verdict) {
  std::vector<std::string> out;
  for (const auto& finding : verdict.findings)
    if (finding.kind == FindingKind::volume_differs) out.push_back(finding.subject);
  return out;
}
const Measured own = {"cryptsetup:models:U", "own key"}, other = {"cryptsetup:models:U", "another key"};
const Measured machine = {"machine-id:x", "machine-id:x"};
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("volumes: a header as the node made it has no finding") {
  for (const auto& finding : findings_about(line(header())))
    FAIL(finding.subject << ": " << finding.expected << " / " << finding.observed);
}

TEST_CASE("volumes: each weakness of a header is one finding that names it") {
  struct Case {
    const char* what;
    std::function<void(Json&)> change;
    const char* observed;
  };
  const Case cases[] = {
      {"another key slot with a passphrase", [](Json& j) { j["keyslots"]["2"] = j["keyslots"]["0"]; }, "passphrase"},
      {"another TPM's key slot",
       [](Json& j) {
         j["keyslots"]["2"] = j["keyslots"]["0"];
         j["tokens"]["2"] = j["tokens"]["0"];
         j["tokens"]["2"]["keyslots"] = {"2"};
       },
       "systemd-tpm2 systemd-tpm2"},
      {"a token of somebody's on our slot",
       [](Json& j) {
         j["tokens"]["9"] = {{"type", "clevis"}, {"keyslots", {"0"}}};
       },
       "systemd-tpm2+clevis"},
      {"a weaker cipher", [](Json& j) { j["segments"]["0"]["encryption"] = "aes-cbc-essiv:sha256"; }, "aes-cbc"},
      {"no cipher", [](Json& j) { j["segments"]["0"]["encryption"] = "cipher_null-ecb"; }, "cipher_null"},
      {"not encrypted", [](Json& j) { j["segments"]["0"]["type"] = "linear"; }, "linear"},
      {"a part that is not encrypted", [](Json& j) { j["segments"]["1"] = j["segments"]["0"]; }, "2 segments"},
      {"a shorter key", [](Json& j) { j["keyslots"]["0"]["key_size"] = 32; }, "key 256 bits"},
      {"sealed to no PCR by value", [](Json& j) { j["tokens"]["0"]["tpm2-pcrs"] = Json::array(); }, "pcrs sha256 none"},
      {"sealed to PCR 7 alone", [](Json& j) { j["tokens"]["0"]["tpm2-pcrs"] = {7}; }, "pcrs sha256 7,"},
      {"no signed PCR", [](Json& j) { j["tokens"]["0"].erase("tpm2_pubkey_pcrs"); }, "signed pcrs none"},
      {"open for revoked releases", [](Json& j) { j["tokens"]["0"].erase("tpm2_pcrlock"); }, "signed pcrs 11, slots"},
      {"made anew, though it is to be kept",
       [](Json& j) {
         j["tokens"]["17"] = {{"type", "ingot-release"}, {"keyslots", Json::array()}, {"release", "ab"}};
       },
       "erased on redeploy"},
      {"integrity that nobody asked for",
       [](Json& j) {
         j["segments"]["0"]["integrity"] = {{"type", "hmac(sha256)"}};
       },
       "plain64+hmac(sha256)"},
      {"a bank of SHA-1", [](Json& j) { j["tokens"]["0"]["tpm2-pcr-bank"] = "sha1"; }, "pcrs sha1"},
      {"no recovery key", [](Json& j) { j["tokens"].erase("16"); }, "systemd-recovery systemd-tpm2"},
      {"a recovery key for somebody else", [](Json& j) { j["tokens"]["16"]["recipient"] = std::string(64, 'd'); },
       "recovery dddd"}};
  for (const auto& one : cases) {
    INFO(one.what);
    auto json = header();
    one.change(json);
    const auto findings = findings_about(line(json));
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].kind == FindingKind::setting_differs);
    CHECK(findings[0].subject == "volume: models");
    INFO(findings[0].observed);
    CHECK(contains(findings[0].observed, one.observed));
  }
}

TEST_CASE("volumes: none, one too many, one of the same name, one that is closed, a report that cannot be read") {
  const auto kinds_of = [](const std::string& part) {
    Texts out;
    for (const auto& finding : findings_about(part)) out.push_back(to_text(finding.kind) + " " + finding.subject);
    return out;
  };
  CHECK(kinds_of("") == Texts{"setting-missing volume: models"});
  CHECK(kinds_of(line(header()) + line(header(), "sdb1", "loot")) == Texts{"setting-unexpected volume: sdb1"});
  CHECK(kinds_of(line(header()) + line(header(), "sdb1")) == Texts{"setting-unexpected volume: vda4"});
  auto closed = line(header());
  closed.erase(closed.find("\tmapped models"), 14);
  CHECK(kinds_of(closed) == Texts{"setting-differs volume: models"});
  CHECK(kinds_of("vda4\theader {\n") == Texts{"setting-missing volume"});
}

TEST_CASE("volumes: the policy is the one that image and machine class give, and no other") {
  CHECK(volume_findings(verdict_on_volume(line(sealed_header()), {own, machine})).empty());
  auto json = sealed_header();
  json["tokens"]["0"]["tpm2-policy-hash"][0] = std::string(64, '0');
  CHECK(volume_findings(verdict_on_volume(line(json), {own, machine})) == Texts{"volume: models, policy"});
  json = sealed_header();
  json["tokens"]["0"]["tpm2-policy-hash"].erase(1);
  CHECK(volume_findings(verdict_on_volume(line(json), {own, machine})) == Texts{"volume: models, policy"});
  // Releases signed by a stranger's key would open it.
  auto stranger = baseline();
  stranger.settings = {row};
  stranger.generation = generation;
  CHECK(volume_findings(verdict_on_volume(line(sealed_header()), {own, machine}, nullptr, stranger)) ==
        Texts{"volume: models, policy"});
}

TEST_CASE("volumes: while keys are replaced, the TPM opens a volume for each PCR 7 that is to come, and for no other") {
  auto golden = image();
  golden.next_pcr_7 = {Digest(32, 1), Digest(32, 2)};
  auto& slots = golden.settings.front().value;
  slots.replace(slots.find("systemd-tpm2"), std::string_view("systemd-tpm2").size(), "systemd-tpm2*");
  const auto header_for = [](const std::vector<Digest>& values) {
    auto json = sealed_header();
    int number = 20;
    for (const auto& value : values) {
      const auto policy = measure::volume_policy(value, policy_key()).value();
      const auto id = std::to_string(number++);
      json["keyslots"][id] = json["keyslots"]["0"];
      json["tokens"][id] = json["tokens"]["0"];
      json["tokens"][id]["keyslots"] = {id};
      json["tokens"][id]["tpm2-policy-hash"] = {
          to_hex(policy.digest), to_hex(measure::index_policy(policy.by_value, release_index()).value())};
    }
    return json;
  };
  const auto findings = [&](const std::vector<Digest>& values) {
    Texts out;
    for (const auto& finding : verdict_on_volume(line(header_for(values)), {own, machine}, nullptr, golden).findings)
      if (finding.subject.starts_with("volume")) out.push_back(finding.subject);
    return out;
  };
  const Texts policy = {"volume: models, policy"};
  CHECK(findings(golden.next_pcr_7).empty());
  CHECK(findings({golden.next_pcr_7[1], golden.next_pcr_7[0]}).empty());
  CHECK(findings({golden.next_pcr_7[0]}) == policy);
  CHECK(findings({}) == policy);
  CHECK(findings({golden.next_pcr_7[0], golden.next_pcr_7[1], Digest(32, 3)}) == policy);
  CHECK(findings({golden.next_pcr_7[0], golden.next_pcr_7[1], golden.next_pcr_7[1]}) == policy);
  // Slots that somebody added, hidden behind what is expected.
  const auto hidden = [&](const std::function<void(Json&)>& hide) {
    auto json = header_for(golden.next_pcr_7);
    json["keyslots"]["5"] = json["keyslots"]["0"];
    json["tokens"]["0"]["keyslots"] = {"5"};  // slot 0 is his
    hide(json);
    Texts out;
    for (const auto& finding : verdict_on_volume(line(json), {own, machine}, nullptr, golden).findings)
      if (finding.subject.starts_with("volume")) out.push_back(finding.subject);
    return out;
  };
  const Texts slots_differ = {"volume: models"};
  CHECK(hidden([](Json&) {}) == slots_differ);
  CHECK(hidden([](Json& j) { j["tokens"]["0"]["keyslots"] = {"5", "0"}; }) == policy);
  CHECK(hidden([](Json& j) { j["tokens"]["9"] = {{"type", "systemd-tpm2*"}, {"keyslots", {"0"}}}; }) == slots_differ);
  // The machine has taken the step: its value is one of them, and has one slot.
  golden.next_pcr_7[1] =
      measure::volume_policy(golden, platform(), policy_key()).value().by_value.at(HashAlg::sha256).at(7);
  CHECK(findings({golden.next_pcr_7[0]}).empty());
  // Who says nothing of it takes one slot alone.
  golden = image();
  CHECK(findings({Digest(32, 1)}) == Texts{"volume: models", "volume: models, policy"});
}

TEST_CASE("volumes: the node's TPM keeps the release index, and it stands for the newest generation that it booted") {
  const auto findings = [](const std::string& revocation) {
    return volume_findings(verdict_on_volume(line(sealed_header()), {own, machine}, nullptr, image(), revocation));
  };
  CHECK(findings(told(release_index())).empty());
  // Without an index there is no policy to compare the header's second part with.
  const Texts none = {"release index", "volume: models, policy"};
  CHECK(findings("") == none);
  CHECK(findings("index 00\n") == none);
  CHECK(findings("nonsense\n") == none);
  CHECK(findings(fmt::format("counter {}\n", count)) == none);
  auto weaker = release_index();
  weaker.attributes |= 1u << 1;  // TPMA_NV_OWNERWRITE
  CHECK(findings(told(weaker)) == none);
  // A counter that was raised: the node has booted what is newer, or somebody plays with it.
  CHECK(findings(told(release_index(), count + 1)) == Texts{"release index"});
  CHECK(findings(told(release_index(), count + 1000)) == Texts{"release index"});
  // Another index than the one in the header.
  const auto other_base = measure::release_index(measure::ReleasePolicy(key_name(), std::int64_t{count} + 5).digest());
  CHECK(findings(told(other_base, count + 5 + generation)) == Texts{"volume: models, policy"});
}

TEST_CASE("volumes: a key is measured before anything else of the node") {
  const auto part = line(sealed_header());
  CHECK(volume_findings(verdict_on_volume(part, {})) == Texts{"pcr 15, volume key"});
  CHECK(volume_findings(verdict_on_volume(part, {machine})) == Texts{"pcr 15, volume key"});
  CHECK(volume_findings(verdict_on_volume(part, {machine, own})) == Texts{"pcr 15, volume key"});
}

TEST_CASE("volumes: a volume that was put in the place of the node's own is found") {
  const auto part = line(sealed_header());
  const auto first = verdict_on_volume(part, {own, machine});
  REQUIRE(first.state);
  CHECK(first.state->volumes.size() == 2);
  CHECK(codec::decode_node_state(as_bytes(codec::encode_node_state(*first.state))).value() == *first.state);
  const auto later = [&](const std::string& now, const std::vector<Measured>& measured) {
    return volume_findings(verdict_on_volume(now, measured, &*first.state));
  };
  CHECK(later(part, {own, machine}).empty());
  // An attacker's volume with a header that says the same but for the key.
  auto json = sealed_header();
  json["digests"]["0"]["digest"] = "AAAA";
  CHECK(later(line(json), {other, machine}) == Texts{"volume: models, key", "pcr 15, volume key"});
  // A node that lies about its header, and one that measures the right key behind the wrong one.
  CHECK(later(part, {other, machine}) == Texts{"pcr 15, volume key"});
  CHECK(later(part, {other, own, machine}) == Texts{"pcr 15, volume key"});
  CHECK(later("", {own, machine}) == Texts{"volume: models, key"});
}

TEST_CASE("volumes: one that each image makes anew is another one after a redeployment, and only then") {
  const auto golden = [](const std::string& root_hash) {
    auto out = image();
    out.root_hash = root_hash;
    out.settings.front().value.insert(0, "erased on redeploy, ");
    return out;
  };
  const auto first_image = golden(std::string(64, '1')), next_image = golden(std::string(64, '2'));
  const auto part = [](const Baseline& of, const char* digest) {
    auto json = sealed_header();
    json["digests"]["0"]["digest"] = digest;
    json["tokens"]["17"] = {{"type", "ingot-release"}, {"keyslots", Json::array()}, {"release", of.root_hash}};
    return line(json);
  };
  const auto old = part(first_image, "AAAA");
  const auto first = verdict_on_volume(old, {own, machine}, nullptr, first_image);
  REQUIRE(first.state);
  CHECK(volume_findings(first).empty());
  const auto later = [&](const std::string& now, const Measured& measured, const Baseline& running) {
    return volume_findings(verdict_on_volume(now, {measured, machine}, &*first.state, running));
  };
  CHECK(later(old, own, first_image).empty());
  CHECK(later(part(next_image, "BBBB"), other, next_image).empty());
  // The image that was to erase it did not; or somebody says that it did.
  CHECK(later(old, own, next_image) == Texts{"volume: models, image"});
  CHECK(later(part(first_image, "BBBB"), other, first_image) == Texts{"volume: models, key", "pcr 15, volume key"});
  // What did not erase it before makes another one of it, too.
  const auto kept = verdict_on_volume(line(sealed_header()), {own, machine});
  REQUIRE(kept.state);
  CHECK(
      volume_findings(verdict_on_volume(part(next_image, "BBBB"), {other, machine}, &*kept.state, next_image)).empty());
  const auto back = verdict_on_volume(line(sealed_header()), {own, machine}, &*first.state);
  CHECK(volume_findings(back) == Texts{"volume: models, key", "pcr 15, volume key"});
}

TEST_CASE("volumes: the TPM's share of a key is under the policy of the release index, and no other") {
  auto golden = image();
  golden.settings.front().value =
      "crypt aes-xts-plain64, key 512 bits, mapped models, shares tang+tpm, slots ingot-key";
  const auto policy = measure::volume_policy(image(), platform(), policy_key()).value();
  const auto part = [](const Buffer& auth_policy, const char* provider = "tpm") {
    auto area = codec::encode_tpm_sealed_public({HashAlg::sha256, 0x412, auth_policy, Buffer(32, 7)});
    auto text = to_base64(Writer{}.u16be(static_cast<std::uint16_t>(area.size())).bytes(area).view());
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    text.erase(std::min(text.find('='), text.size()));
    auto json = header();
    json["keyslots"].erase("1");
    json["tokens"] = {{"0", {{"type", "ingot-key"}, {"keyslots", {"0"}}, {"tang", {{"x", 1}}}}}};
    json["tokens"]["0"][provider] = {{"public", text}};
    return line(json);
  };
  const auto revocation = told(release_index()) + "key " + to_hex(as_bytes(policy_key().pem())) + "\n";
  const auto findings = [&](const std::string& volumes, const std::string& of_tpm) {
    return volume_findings(verdict_on_volume(volumes, {own, machine}, nullptr, golden, of_tpm));
  };
  const auto good = measure::index_policy(policy.by_value, release_index()).value();
  CHECK(findings(part(good), revocation).empty());
  CHECK(findings(part(Buffer(32, 1)), revocation) == Texts{"volume: models, policy"});
  CHECK(findings(part({}), revocation) == Texts{"volume: models, policy"});
  // Which key signs policies is known of the node alone.
  CHECK(findings(part(good), told(release_index())) == Texts{"release index"});
  const auto facts = [&](const std::string& volumes) {
    NodeReport report;
    for (const auto* name : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files"})
      report.parts[name] = "";
    report.parts["volumes"] = volumes;
    return check::check_settings(golden.settings, report);
  };
  CHECK(facts(part(good)).empty());
  REQUIRE(facts(part(good, "file")).size() == 1);
  CHECK(contains(facts(part(good, "file")).front().observed, "shares file+tang"));
}
