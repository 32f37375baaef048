// Known answers of google/go-tpm for the TPM's key derivation and secret sharing.
#include "ingot/fleet/credential.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingot/base/source.hpp"
#include "ingot/crypto/kdf.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

const std::string vectors = std::string(INGOT_SHARED) + "/vectors/tpm2/";

/// Empty, and told, when the vectors are not there.
nlohmann::json load(const char* name) {
  const auto text = read_file(vectors + name, 16u << 20);
  if (!text) {
    std::cerr << "SKIPPED: " << vectors << name << " is not there\n";
    return nlohmann::json::array();
  }
  return nlohmann::json::parse(as_text(*text));
}

Buffer bytes(const nlohmann::json& vector, const char* name) {
  return parse_hex(vector.at(name).get<std::string>()).value();
}

/// A TPM2B around the structure.
TpmPublic public_of(const nlohmann::json& vector) { return decode_tpm_public(bytes(vector, "PublicKey")).value(); }

TpmPublic storage_key() {
  TpmPublic key;
  key.attributes = object_attribute::restricted | object_attribute::decrypt;
  // SP 800-186, "P-256": the base point is a point like any other.
  key.key = TpmEcc{{TpmAlg::aes, 128, TpmAlg::cfb},
                   {},
                   TpmCurve::p256,
                   parse_hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296").value(),
                   parse_hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5").value()};
  return key;
}

}  // namespace

TEST_CASE("kdfa: all known answers of go-tpm") {
  for (const auto& vector : load("kdfa.json")) {
    INFO(vector.at("Name"));
    const auto alg = static_cast<HashAlg>(vector.at("HashAlg").get<std::uint16_t>());
    CHECK(to_hex(crypto::kdfa(alg, bytes(vector, "Key"), vector.at("Label").get<std::string>(),
                              bytes(vector, "ContextU"), bytes(vector, "ContextV"), vector.at("Bits"))) ==
          vector.at("Result").get<std::string>());
  }
}

TEST_CASE("kdfe: all known answers of go-tpm") {
  for (const auto& vector : load("kdfe.json")) {
    INFO(vector.at("Name"));
    if (bytes(vector, "Z").empty()) continue;  // two of them; no agreement ends in an empty secret
    const auto alg = static_cast<HashAlg>(vector.at("HashAlg").get<std::uint16_t>());
    CHECK(to_hex(crypto::kdfe(alg, bytes(vector, "Z"), vector.at("Label").get<std::string>(), bytes(vector, "ContextU"),
                              bytes(vector, "ContextV"), vector.at("Bits"))) == vector.at("Result").get<std::string>());
  }
}

TEST_CASE("secret sharing: ECC seeds and points are those of go-tpm, which TPMs accepted") {
  std::size_t checked = 0;
  for (const auto& vector : load("ecc_labeled_encaps.json")) {
    INFO(vector.at("Name"));
    // Keys for ECMQV: no TPM makes an endorsement or storage key so, and they are refused.
    if (vector.at("Name").get<std::string>().find("ECMQV") != std::string::npos) {
      CHECK_FALSE(decode_tpm_public(bytes(vector, "PublicKey")));
      continue;
    }
    const auto shared = fleet::share_secret_with(public_of(vector), vector.at("Label").get<std::string>(),
                                                 bytes(vector, "EphemeralPrivate"));
    REQUIRE(shared);
    CHECK(to_hex(shared->seed) == vector.at("Secret").get<std::string>());
    CHECK(to_hex(shared->encrypted) == vector.at("Ciphertext").get<std::string>());
    ++checked;
  }
  if (std::filesystem::exists(vectors)) CHECK(checked > 60);
}

TEST_CASE("credential: no key that is none, and no secret that is too long") {
  const Buffer name(34, 1), secret(32, 2);
  CHECK(fleet::make_credential(storage_key(), name, secret));
  CHECK_FALSE(fleet::make_credential(storage_key(), name, Buffer(33)));
  auto signing = storage_key();
  std::get<TpmEcc>(signing.key).symmetric = {};
  CHECK_FALSE(fleet::make_credential(signing, name, secret));
  auto off_curve = storage_key();
  std::get<TpmEcc>(off_curve.key).x[31] ^= 1;
  CHECK_FALSE(fleet::make_credential(off_curve, name, secret));
  // Two credentials for one secret share nothing.
  const auto first = fleet::make_credential(storage_key(), name, secret).value();
  const auto second = fleet::make_credential(storage_key(), name, secret).value();
  CHECK(first.id_object != second.id_object);
  CHECK(first.encrypted_secret != second.encrypted_secret);
}
