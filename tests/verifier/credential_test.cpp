// Known answers of google/go-tpm for the TPM's key derivation and secret sharing.
#include "ingot/fleet/credential.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "ingot/base/reader.hpp"
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

using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
Number number(Bytes bytes) { return {BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), BN_free}; }
Number new_number() { return {BN_new(), BN_free}; }

/// What the TPM with this key would get back: OpenSSL's RSAES-OAEP with the private key, whose first prime the vectors
/// hold (TPMT_SENSITIVE: type, auth value, seed, sensitive).
Buffer rsa_open(const TpmPublic& area, Bytes sensitive, const std::string& label, Bytes encrypted) {
  Reader in{sensitive};
  in.skip(2);
  for (int i = 0; i < 2; ++i) in.skip(in.u16be());
  const auto prime = in.bytes(in.u16be());
  REQUIRE(in.ok());
  const auto& rsa = std::get<TpmRsa>(area.key);
  const auto n = number(rsa.modulus), p = number(prime), e = new_number(), q = new_number(), d = new_number(),
             phi = new_number(), one = new_number();
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
  BN_set_word(e.get(), rsa.exponent == 0 ? 65537 : rsa.exponent);
  BN_one(one.get());
  REQUIRE(BN_div(q.get(), nullptr, n.get(), p.get(), context.get()) == 1);
  const Number p1(BN_dup(p.get()), BN_free), q1(BN_dup(q.get()), BN_free);
  BN_sub_word(p1.get(), 1), BN_sub_word(q1.get(), 1);
  BN_mul(phi.get(), p1.get(), q1.get(), context.get());
  REQUIRE(BN_mod_inverse(d.get(), e.get(), phi.get(), context.get()) != nullptr);
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> build(OSSL_PARAM_BLD_new(),
                                                                              OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_D, d.get());
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parts(OSSL_PARAM_BLD_to_param(build.get()),
                                                                      OSSL_PARAM_free);
  using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
  const Context maker(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* made = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(maker.get()) == 1);
  REQUIRE(EVP_PKEY_fromdata(maker.get(), &made, EVP_PKEY_KEYPAIR, parts.get()) == 1);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(made, EVP_PKEY_free);
  const Context opener(EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free);
  const auto alg = rsa.scheme.alg == TpmAlg::oaep ? rsa.scheme.hash : area.name_alg;
  const EVP_MD* hash = EVP_get_digestbyname(to_text(alg).c_str());
  REQUIRE(EVP_PKEY_decrypt_init(opener.get()) == 1);
  EVP_PKEY_CTX_set_rsa_padding(opener.get(), RSA_PKCS1_OAEP_PADDING);
  EVP_PKEY_CTX_set_rsa_oaep_md(opener.get(), hash);
  EVP_PKEY_CTX_set_rsa_mgf1_md(opener.get(), hash);
  // Part 1, "RSAES_OAEP": the label's terminating NUL is part of it. OpenSSL takes ownership of the copy.
  EVP_PKEY_CTX_set0_rsa_oaep_label(opener.get(), OPENSSL_memdup(label.c_str(), label.size() + 1),
                                   static_cast<int>(label.size() + 1));
  Buffer plain(rsa.modulus.size());
  std::size_t size = plain.size();
  REQUIRE(EVP_PKEY_decrypt(opener.get(), plain.data(), &size, encrypted.data(), encrypted.size()) == 1);
  plain.resize(size);
  return plain;
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

TEST_CASE("secret sharing: the owners of go-tpm's RSA keys open what we encrypt to them") {
  std::size_t checked = 0;
  for (const auto& vector : load("rsa_labeled_encaps.json")) {
    INFO(vector.at("Name"));
    const auto area = public_of(vector);
    const auto label = vector.at("Label").get<std::string>();
    const auto sensitive = bytes(vector, "PrivateKey");
    // That the judge is set up as TPMs are: it opens what go-tpm encrypted, which TPMs accepted.
    REQUIRE(rsa_open(area, sensitive, label, bytes(vector, "Ciphertext")) == bytes(vector, "Secret"));
    const auto shared = fleet::share_secret(area, label);
    REQUIRE(shared);
    CHECK(shared->seed.size() == bytes(vector, "Secret").size());
    CHECK(rsa_open(area, sensitive, label, shared->encrypted) == to_buffer(shared->seed));
    ++checked;
  }
  if (std::filesystem::exists(vectors)) CHECK(checked == 100);
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
