#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/openssl.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/crypto/rsa_pss.hpp"
#include "key_vectors.hpp"

using namespace ingot;
using crypto::Certificate;
using crypto::PublicKey;
namespace v = test::vectors;

namespace {

Buffer base64(const char* text) { return parse_base64(text).value(); }
PublicKey key(const char* spki) { return PublicKey::from_spki_der(base64(spki)).value(); }
const Bytes golden = as_bytes(v::message);

}  // namespace

TEST_CASE("hash: the examples of FIPS 180 and GB/T 32905 for \"abc\"") {
  const std::pair<HashAlg, const char*> rows[] = {
      {HashAlg::sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {HashAlg::sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {HashAlg::sha384,
       "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
      {HashAlg::sha512,
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80"
       "e2a"
       "9ac94fa54ca49f"},
      {HashAlg::sm3_256, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"}};
  for (const auto& [alg, digest] : rows) {
    INFO(to_text(alg));
    CHECK(to_hex(crypto::hash(alg, as_bytes("abc"))) == digest);
    CHECK(to_hex(crypto::hash_source(alg, *memory_source(to_buffer(as_bytes("abc")))).value()) == digest);
    CHECK(crypto::hash(alg, {}).size() == digest_size_bytes(alg));
  }
}

TEST_CASE("hash: a hasher starts over, and takes its input in any pieces") {
  crypto::Hasher hasher(HashAlg::sha256);
  const auto whole = hasher.update(as_bytes("abc")).finish();
  CHECK(hasher.update(as_bytes("a")).update({}).update(as_bytes("bc")).finish() == whole);
  const auto banks = crypto::hash_banks(as_bytes("abc"));
  CHECK(banks.at(HashAlg::sha256) == whole);
  CHECK(banks.size() == 2);
}

TEST_CASE("random: what is asked for, and not the same twice") {
  CHECK(crypto::random_bytes(0).empty());
  CHECK(crypto::random_bytes(32).size() == 32);
  CHECK(crypto::random_bytes(32) != crypto::random_bytes(32));
}

TEST_CASE("public key: signatures that OpenSSL made are valid, and nothing else is") {
  struct Row {
    const char* name;
    const char* spki;
    HashAlg alg;
    const char* signature;
  };
  const Row rows[] = {{"RSA, SHA-256", v::rsa_spki, HashAlg::sha256, v::rsa_sha256},
                      {"RSA, SHA-384", v::rsa_spki, HashAlg::sha384, v::rsa_sha384},
                      {"EC, SHA-256", v::ec_spki, HashAlg::sha256, v::ec_sha256},
                      {"EC, SHA-384", v::ec_spki, HashAlg::sha384, v::ec_sha384},
                      {"Ed25519", v::ed_spki, HashAlg::sha256, v::ed_signature}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto public_key = key(row.spki);
    const auto signature = base64(row.signature);
    CHECK(public_key.verify(row.alg, golden, signature));
    const auto refuse = [&](const PublicKey& with, HashAlg alg, Bytes message, Bytes bytes) {
      const auto result = with.verify(alg, message, bytes);
      REQUIRE_FALSE(result);
      CHECK(result.error().code == ErrorCode::crypto);
    };
    refuse(public_key, row.alg, as_bytes("Golden"), signature);
    refuse(public_key, row.alg, {}, signature);
    refuse(public_key, row.alg, golden, {});
    for (const std::size_t at : {std::size_t{0}, signature.size() / 2, signature.size() - 1}) {
      auto damaged = signature;
      damaged[at] ^= 0x01;
      refuse(public_key, row.alg, golden, damaged);
    }
    auto longer = signature;
    longer.push_back(0);
    refuse(public_key, row.alg, golden, longer);
    refuse(public_key, row.alg, golden, Bytes(signature).first(signature.size() - 1));
    if (row.spki != v::ed_spki) refuse(public_key, HashAlg::sha512, golden, signature);
    for (const auto* other : {v::rsa_spki, v::ec_spki, v::ed_spki})
      if (other != row.spki) refuse(key(other), row.alg, golden, signature);
  }
}

TEST_CASE("public key: RFC 8032, Test Vectors for Ed25519, TEST 2") {
  auto spki = parse_hex("302a300506032b6570032100").value();
  const auto raw = parse_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").value();
  spki.insert(spki.end(), raw.begin(), raw.end());
  const auto signature =
      parse_hex(
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
          "387b2eaeb4302aeeb00d291612bb0c00")
          .value();
  CHECK(PublicKey::from_spki_der(spki)->verify(HashAlg::sha256, Buffer{0x72}, signature));
}

TEST_CASE("public key: PKCS#1 v1.5 and PSS are not taken for each other") {
  const auto rsa = key(v::rsa_spki);
  const auto pss = base64(v::rsa_pss_sha256);
  CHECK(crypto::verify_rsa_pss(rsa, HashAlg::sha256, golden, pss));
  CHECK_FALSE(crypto::verify_rsa_pss(rsa, HashAlg::sha384, golden, pss));
  CHECK_FALSE(crypto::verify_rsa_pss(rsa, HashAlg::sha256, golden, base64(v::rsa_sha256)));
  CHECK_FALSE(rsa.verify(HashAlg::sha256, golden, pss));
  CHECK_FALSE(crypto::verify_rsa_pss(key(v::ec_spki), HashAlg::sha256, golden, base64(v::ec_sha256)));
}

TEST_CASE("public key: its encodings are OpenSSL's") {
  const auto rsa = key(v::rsa_spki);
  CHECK(rsa.spki_der() == base64(v::rsa_spki));
  CHECK(rsa.pem() == v::rsa_pem);
  CHECK(rsa.key_id() == v::rsa_spki_sha256);
  CHECK(crypto::sha256_hex(rsa.rsa_public_key_der().value()) == v::rsa_pkcs1_sha256);
  CHECK(PublicKey::from_pem(v::rsa_pem)->spki_der() == rsa.spki_der());
  CHECK(key(v::ec_spki).rsa_public_key_der().error().code == ErrorCode::crypto);
}

TEST_CASE("public key: a key that only agrees on secrets cannot verify") {
  const auto x25519 = key("MCowBQYDK2VuAyEAGK+CMemh5aBN2/EiVF8zTYzkJPR5YO3Q7H780OLH4lA=");
  const auto result = x25519.verify(HashAlg::sha256, golden, base64(v::ed_signature));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::crypto);
}

TEST_CASE("public key: damaged DER and PEM are malformed, with OpenSSL's reasons and no terminal") {
  for (const auto* spki : {v::rsa_spki, v::ec_spki, v::ed_spki})
    test::rejects_every_prefix(base64(spki), [](Bytes der) { return PublicKey::from_spki_der(der).has_value(); });
  auto longer = base64(v::ec_spki);
  longer.push_back(0);
  CHECK(PublicKey::from_spki_der(longer).error().code == ErrorCode::malformed);
  auto off_curve = base64(v::ec_spki);
  off_curve.back() ^= 1;
  CHECK_FALSE(PublicKey::from_spki_der(off_curve));
  // A point is the end of the structure around it.
  const auto point_of = [](const Buffer& der) { return Bytes(der).last(65); };
  CHECK(PublicKey::from_ec_point("P-256", point_of(base64(v::ec_spki)))->spki_der() == base64(v::ec_spki));
  CHECK(PublicKey::from_ec_point("P-256", point_of(off_curve)).error().code == ErrorCode::malformed);
  CHECK_FALSE(PublicKey::from_ec_point("P-384", point_of(base64(v::ec_spki))));
  CHECK_FALSE(PublicKey::from_ec_point("P-256", {}));

  const std::string pem = v::rsa_pem;
  const std::pair<const char*, std::string> rows[] = {{"empty", ""},
                                                      {"text", "hello"},
                                                      {"a certificate", v::certificate_pem},
                                                      {"cut off", pem.substr(0, 200)},
                                                      {"damaged base64", pem.substr(0, 40) + "*" + pem.substr(41)},
                                                      {"says that it is encrypted",
                                                       "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
                                                       "AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n" +
                                                           pem.substr(27)}};
  for (const auto& [name, text] : rows) {
    INFO(name);
    const auto result = PublicKey::from_pem(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::malformed);
    CHECK(result.error().message.find(": ") != std::string::npos);
  }
  CHECK(PublicKey::from_pem(std::string((1u << 20) + 1, 'x')).error().code == ErrorCode::limit);
}

TEST_CASE("certificate: subject, key and bytes") {
  const auto certificate = Certificate::from_der(base64(v::certificate));
  REQUIRE(certificate);
  CHECK(certificate->subject() == R"(CN=db \C3\A9,O=Ingot\, \"Foundry\")");
  CHECK(certificate->der() == base64(v::certificate));
  CHECK(certificate->public_key().spki_der() == base64(v::ec_spki));
  CHECK(certificate->public_key().verify(HashAlg::sha256, golden, base64(v::ec_sha256)));
  CHECK(Certificate::from_pem(v::certificate_pem)->der() == certificate->der());
}

TEST_CASE("certificate: damage is malformed") {
  test::rejects_every_prefix(base64(v::certificate), [](Bytes der) { return Certificate::from_der(der).has_value(); });
  auto longer = base64(v::certificate);
  longer.push_back(0);
  CHECK(Certificate::from_der(longer).error().code == ErrorCode::malformed);
  for (const char* text : {"", "hello", v::rsa_pem})
    CHECK(Certificate::from_pem(text).error().code == ErrorCode::malformed);
  CHECK(Certificate::from_pem(std::string((1u << 20) + 1, 'x')).error().code == ErrorCode::limit);
}

TEST_CASE("certificate: no single changed byte makes anything but an error or another certificate") {
  const auto der = base64(v::certificate);
  Buffer damaged = der;
  for (std::size_t at = 0; at < der.size(); ++at) {
    damaged[at] ^= 0xFF;
    if (const auto certificate = Certificate::from_der(damaged)) CHECK(certificate->der() != der);
    damaged[at] = der[at];
  }
}

TEST_CASE("openssl: the queue of reasons is drained into one error") {
  CHECK_FALSE(PublicKey::from_spki_der(Buffer{0x30, 0x03, 0x02, 0x01, 0x01}));
  const auto error = crypto::openssl_error(ErrorCode::crypto, "nothing happened");
  CHECK(error.message == "nothing happened");
}
