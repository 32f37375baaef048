#include "ingot/codec/luks_header.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"
#include "ingot/codec/report.hpp"

using namespace ingot;

namespace {

constexpr std::size_t copy_bytes = 16384;

Buffer real() { return test::vector_file("luks2-debian13.bin"); }
std::string real_json() { return codec::decode_luks_metadata(real()).value().json; }

/// The header with its JSON changed.
Result<codec::LuksHeader> changed(const std::function<void(nlohmann::json&)>& change) {
  auto document = nlohmann::json::parse(real_json());
  change(document);
  return codec::decode_luks_json(document.dump());
}

}  // namespace

TEST_CASE("LUKS2 header: a real one says what cryptsetup says of it") {
  const auto bytes = real();
  CHECK(codec::luks_metadata_size(Bytes(bytes).first(codec::luks_binary_header_bytes)).value() == copy_bytes);
  const auto metadata = codec::decode_luks_metadata(bytes).value();
  CHECK(metadata.uuid == "8abdec37-d569-4696-99df-c5620a380ac6");
  CHECK(metadata.label == "models");
  const auto header = codec::decode_luks_json(metadata.json).value();
  REQUIRE(header.key_slots.size() == 1);
  CHECK(header.key_slots[0] == codec::LuksKeySlot{0, 512, "pbkdf2"});
  REQUIRE(header.segments.size() == 1);
  CHECK(header.segments[0] == codec::LuksSegment{"crypt", "aes-xts-plain64", 16777216, 512, ""});
  CHECK(header.opened_by(header.key_slots[0]) == "systemd-tpm2");
  REQUIRE(header.token("systemd-tpm2") != nullptr);
  const auto& policy = header.token("systemd-tpm2")->tpm;
  CHECK(policy.pcrs == std::vector<PcrIndex>{7, 15});
  CHECK(policy.bank == "sha256");
  CHECK(policy.signed_pcrs == std::vector<PcrIndex>{11});
  CHECK(policy.digests.size() == 1);
  CHECK(policy.policy_key_pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
  CHECK_FALSE(policy.has_pin);
  CHECK_FALSE(policy.has_index);
  CHECK(header.token(codec::luks_recovery_type) == nullptr);
  CHECK_FALSE(header.key_digest.empty());
}

TEST_CASE("LUKS2 header: one copy that holds is enough, as for libcryptsetup, and the newer one counts") {
  for (const std::size_t at : {std::size_t{0}, std::size_t{20}, std::size_t{200}, std::size_t{4200}, copy_bytes - 1}) {
    INFO(at);
    auto first = real(), second = real(), both = real();
    first[at] ^= 1;
    second[copy_bytes + at] ^= 1;
    both[at] ^= 1, both[copy_bytes + at] ^= 1;
    CHECK(codec::decode_luks_metadata(first).value().json == real_json());
    CHECK(codec::decode_luks_metadata(second).value().json == real_json());
    CHECK_FALSE(codec::decode_luks_metadata(both));
  }
  // A copy with a higher sequence number (byte 23 is its lowest) whose checksum was made anew.
  auto newer = real();
  newer[copy_bytes + 23] = 0xFF;
  newer[copy_bytes + 24] = 'X';  // the label's first letter
  std::fill_n(newer.begin() + copy_bytes + 448, 64, std::uint8_t{0});
  const auto sum = crypto::sha256(Bytes(newer).subspan(copy_bytes));
  std::copy(sum.begin(), sum.end(), newer.begin() + copy_bytes + 448);
  CHECK(codec::decode_luks_metadata(newer).value().label == "Xodels");
}

TEST_CASE("LUKS2 header: what is no header is told from one that is damaged") {
  const auto code = [](Bytes bytes) { return codec::luks_metadata_size(bytes).error().code; };
  CHECK(code(Buffer(4096, 0)) == ErrorCode::missing);
  CHECK(code({}) == ErrorCode::missing);
  const auto bytes = real();
  CHECK(code(Bytes(bytes).first(100)) == ErrorCode::malformed);
  auto version = real();
  version[7] = 1;
  CHECK(code(version) == ErrorCode::malformed);
  auto size = real();
  size[14] = 0;
  CHECK(code(size) == ErrorCode::malformed);
  CHECK_FALSE(codec::decode_luks_metadata(Bytes(bytes).first(copy_bytes)));
  CHECK_FALSE(codec::decode_luks_metadata({}));
  test::rejects_every_prefix(as_bytes(real_json()), [](Bytes text) { return codec::decode_luks_json(as_text(text)); });
}

TEST_CASE("LUKS2 header: members of another kind are refused, and what is unknown is passed over") {
  CHECK_FALSE(changed([](auto& json) { json["keyslots"] = 1; }));
  CHECK_FALSE(changed([](auto& json) { json["keyslots"]["x"] = json["keyslots"]["0"]; }));
  CHECK_FALSE(changed([](auto& json) { json["tokens"]["0"]["keyslots"] = {1}; }));
  CHECK_FALSE(changed([](auto& json) { json["tokens"]["0"]["tpm2-pcrs"] = {99}; }));
  CHECK_FALSE(changed([](auto& json) { json["tokens"]["0"]["tpm2-policy-hash"] = "xy"; }));
  CHECK_FALSE(changed([](auto& json) { json["segments"]["0"]["offset"] = 1; }));
  CHECK_FALSE(changed([](auto& json) { json.erase("digests"); }));
  const auto more = changed([](auto& json) {
    json["tokens"]["7"] = {{"type", "somebody's"}, {"keyslots", {"0"}}, {"x", 1}};
    json["more"] = true;
  });
  CHECK(more.value().opened_by(more.value().key_slots[0]) == "systemd-tpm2+unknown");
  const auto integrity = changed([](auto& json) { json["segments"]["0"]["integrity"] = {{"type", "hmac(sha256)"}}; });
  CHECK(integrity.value().segments[0].integrity == "hmac(sha256)");
  const auto of_image = [](const nlohmann::json& release) {
    return changed([&](auto& json) {
      json["tokens"]["17"] = {{"type", "ingot-release"}, {"keyslots", nlohmann::json::array()}, {"release", release}};
    });
  };
  CHECK(of_image("ab").value().release == "ab");
  CHECK(codec::decode_luks_json(real_json()).value().release.empty());
  CHECK_FALSE(of_image(1));
}

TEST_CASE("LUKS2 header: a recovery key is kept beside its slot") {
  const codec::LuksRecovery recovery{std::string(64, 'a'), {1, 2, 3}};
  const auto header = changed([&](auto& json) {
    json["keyslots"]["1"] = json["keyslots"]["0"];
    json["tokens"]["1"] = {{"type", "systemd-recovery"}, {"keyslots", {"1"}}};
    json["tokens"]["16"] = nlohmann::json::parse(codec::encode_luks_recovery(recovery, 1));
  });
  REQUIRE(header.value().token(codec::luks_recovery_type) != nullptr);
  CHECK(header.value().token(codec::luks_recovery_type)->recovery == recovery);
  CHECK(header.value().opened_by(header.value().key_slots[1]) == "systemd-recovery+ingot-recovery");
}

TEST_CASE("LUKS2 header: the report's part holds each volume of the node") {
  const auto volumes =
      codec::decode_volumes("sda1\tuuid U\theader " + real_json() +
                            "\nvda4\tlabel models\tmapped models\tmapped x\tuuid V\theader " + real_json() + "\n")
          .value();
  REQUIRE(volumes.size() == 2);
  CHECK(volumes[0].label.empty());
  CHECK(volumes[1].device == "vda4");
  CHECK(volumes[1].uuid == "V");
  CHECK(volumes[1].mapped == "models,x");
  CHECK(codec::decode_volumes("").value().empty());
  CHECK_FALSE(codec::decode_volumes("vda4\tuuid U\n"));
  CHECK_FALSE(codec::decode_volumes("vda4\n"));
}
