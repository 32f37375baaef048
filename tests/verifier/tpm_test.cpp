#include "ingot/codec/tpm.hpp"

#include <catch2/catch.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"
#include "key_vectors.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

Result<PcrSelections> decode_selections(Bytes bytes) {
  Reader in{bytes};
  auto selections = decode_pcr_selections(in);
  return in.finish(std::move(selections));
}

TpmPublic rsa_key() {
  TpmPublic object;
  object.attributes = 0x00050072;
  object.auth_policy = Buffer(32, 6);
  object.key =
      TpmRsa{{TpmAlg::aes, 128, TpmAlg::cfb}, {TpmAlg::rsapss, HashAlg::sha384}, 3072, 65537, Buffer(384, 0xC3)};
  return object;
}

}  // namespace

TEST_CASE("tpm: PCR selections have three octets of bits, lowest PCR first") {
  const PcrSelections selections = {{HashAlg::sha256, {0, 1, 2, 4, 23}}, {HashAlg::sha384, {}}};
  const auto bytes = encode_pcr_selections(selections);
  CHECK(to_hex(bytes) ==
        "00000002"
        "000b03170080"
        "000c03000000");
  CHECK(decode_selections(bytes).value() == selections);
  test::rejects_every_prefix(bytes, decode_selections);
  test::notices_every_byte(bytes, 0, bytes.size(), decode_selections);
  CHECK_FALSE(decode_selections(*parse_hex("ffffffff000b03170080")));
  CHECK_FALSE(decode_selections(*parse_hex("00000001000b0417008000")));
  CHECK_FALSE(decode_selections(*parse_hex("00000001009903170080")));
}

TEST_CASE("tpm: public areas") {
  for (const auto& object : {rsa_key(), attestation_key_template(), test::software_tpm().public_area()}) {
    const auto bytes = encode_tpm_public(object);
    CHECK(decode_tpm_public(bytes).value() == object);
    test::rejects_every_prefix(bytes, decode_tpm_public);
    test::notices_every_byte(bytes, 0, bytes.size(), decode_tpm_public);
  }
  // ECC, SHA-256, fixedTPM fixedParent sensitiveDataOrigin userWithAuth restricted sign, no policy, no symmetric
  // algorithm, ECDSA with SHA-256, P-256, no KDF, empty point.
  CHECK(to_hex(encode_tpm_public(attestation_key_template())) == "0023000b00050472000000100018000b0003001000000000");
  CHECK_FALSE(public_key(attestation_key_template()));
}

TEST_CASE("tpm: signatures") {
  const TpmSignature ecdsa{{TpmAlg::ecdsa, HashAlg::sha256}, {}, Buffer(32, 1), Buffer(32, 2)};
  const TpmSignature rsa{{TpmAlg::rsassa, HashAlg::sha384}, Buffer(256, 3), {}, {}};
  for (const auto& signature : {ecdsa, rsa}) {
    const auto bytes = encode_tpm_signature(signature);
    CHECK(decode_tpm_signature(bytes).value() == signature);
    test::rejects_every_prefix(bytes, decode_tpm_signature);
    test::notices_every_byte(bytes, 0, bytes.size(), decode_tpm_signature);
  }
  CHECK_FALSE(decode_tpm_signature(*parse_hex("0010")));
  CHECK_FALSE(decode_tpm_signature(*parse_hex("0018000bffff")));
}

TEST_CASE("tpm: quotes") {
  const auto quote = test::quote_of(test::captured("uki-boot-257"));
  const auto bytes = encode_tpm_quote(quote);
  CHECK(decode_tpm_quote(bytes).value() == quote);
  test::rejects_every_prefix(bytes, decode_tpm_quote);
  test::notices_every_byte(bytes, 0, bytes.size(), decode_tpm_quote);
}

TEST_CASE("tpm: a quote of a real TPM is read, verified, and covers its PCR values") {
  const auto attest = test::vector_file("t490-quote.attest");
  const auto quote = decode_tpm_quote(attest).value();
  CHECK(encode_tpm_quote(quote) == attest);
  CHECK(to_hex(quote.extra_data) == as_text(test::vector_file("t490-quote.nonce")));
  CHECK(quote.selections == PcrSelections{{HashAlg::sha256, {0, 1, 2, 4}}});
  CHECK(quote.clock.reset_count == 35);
  CHECK(quote.clock.safe);

  const auto raw_key = test::vector_file("t490-quote.ak");
  const auto key = decode_tpm_public(raw_key).value();
  CHECK(encode_tpm_public(key) == raw_key);
  const auto raw_signature = test::vector_file("t490-quote.signature");
  const auto signature = decode_tpm_signature(raw_signature).value();
  CHECK(encode_tpm_signature(signature) == raw_signature);
  CHECK(verify_tpm_signature(key, signature, attest));

  auto pcrs = test::vector_pcrs("t490-quote.pcrs");
  CHECK(quoted_pcr_digest(HashAlg::sha256, quote.selections, pcrs).value() == quote.pcr_digest);
  pcrs[HashAlg::sha256][4][0] ^= 1;
  CHECK(quoted_pcr_digest(HashAlg::sha256, quote.selections, pcrs).value() != quote.pcr_digest);
  pcrs[HashAlg::sha256].erase(4);
  CHECK(quoted_pcr_digest(HashAlg::sha256, quote.selections, pcrs).error().code == ErrorCode::missing);

  auto changed = attest;
  for (auto& byte : changed) {
    byte ^= 1;
    REQUIRE_FALSE(verify_tpm_signature(key, signature, changed));
    byte ^= 1;
  }
}

TEST_CASE("tpm: keys of OpenSSL's and signatures by them are the same in a TPM's form") {
  using namespace test::vectors;
  const auto spki = parse_base64(rsa_spki).value();
  // The modulus stands behind 33 bytes of DER header and a sign byte (RFC 8017, "RSA Public Key Syntax").
  TpmRsa rsa;
  rsa.scheme = {TpmAlg::null, HashAlg::sha256};
  rsa.modulus = to_buffer(Bytes(spki).subspan(33, 256));
  const TpmPublic object{HashAlg::sha256, 0, {}, rsa};
  CHECK(public_key(object).value().spki_der() == spki);
  const auto verifies = [&](TpmAlg alg, HashAlg hash, const char* signature) {
    return verify_tpm_signature(object, {{alg, hash}, parse_base64(signature).value(), {}, {}}, as_bytes(message))
        .has_value();
  };
  CHECK(verifies(TpmAlg::rsassa, HashAlg::sha256, rsa_sha256));
  CHECK(verifies(TpmAlg::rsassa, HashAlg::sha384, rsa_sha384));
  CHECK(verifies(TpmAlg::rsapss, HashAlg::sha256, rsa_pss_sha256));
  CHECK_FALSE(verifies(TpmAlg::rsassa, HashAlg::sha256, rsa_pss_sha256));
  CHECK_FALSE(verifies(TpmAlg::rsapss, HashAlg::sha256, rsa_sha256));
  CHECK_FALSE(verifies(TpmAlg::rsassa, HashAlg::sha256, rsa_sha384));
  CHECK_FALSE(verifies(TpmAlg::ecdsa, HashAlg::sha256, rsa_sha256));
}

TEST_CASE("tpm: a key with a scheme of its own signs with no other") {
  const auto& tpm = test::software_tpm();
  auto key = tpm.public_area();
  const auto signature = tpm.sign(as_bytes("text"));
  CHECK(verify_tpm_signature(key, signature, as_bytes("text")));
  std::get<TpmEcc>(key.key).scheme.hash = HashAlg::sha384;
  CHECK_FALSE(verify_tpm_signature(key, signature, as_bytes("text")));
}

TEST_CASE("tpm: points that are not on the curve are no keys") {
  auto key = test::software_tpm().public_area();
  std::get<TpmEcc>(key.key).x[5] ^= 1;
  CHECK(public_key(key).error().code == ErrorCode::crypto);
}
