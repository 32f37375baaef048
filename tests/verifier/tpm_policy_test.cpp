// Policies and the objects they are of. The judge of the digests is swtpm (tests/tool/seal_test.cpp).
#include "ingot/measure/tpm_policy.hpp"

#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/crypto/hash.hpp"
#include "key_vectors.hpp"

using namespace ingot;
using namespace ingot::codec;
using namespace ingot::measure;

namespace {

TpmNvPublic index() { return {0x01C20001, HashAlg::sha256, 0x20020002 | nv_written, Buffer(32, 7), 34}; }
TpmSealedPublic sealed() { return {HashAlg::sha256, object_attribute::no_da, Buffer(32, 3), Buffer(32, 4)}; }

}  // namespace

TEST_CASE("tpm policy: the digest follows the commands, their order, and every argument") {
  const PcrValues pcrs = {{HashAlg::sha256, {{7, Buffer(32, 7)}, {11, Buffer(32, 11)}}}};
  const auto start = policy_start(HashAlg::sha256);
  CHECK(start == Buffer(32, 0));
  CHECK(policy_start(HashAlg::sha384).size() == 48);
  const auto pcr = [&](Bytes before, PcrSelections selections) {
    return policy_pcr(HashAlg::sha256, before, selections, pcrs).value();
  };
  const auto seven = pcr(start, {{HashAlg::sha256, {7}}});
  const auto both = pcr(start, {{HashAlg::sha256, {7, 11}}});
  CHECK(seven != both);
  CHECK(pcr(seven, {{HashAlg::sha256, {11}}}) != both);
  CHECK(pcr(start, {{HashAlg::sha256, {7}}, {HashAlg::sha256, {11}}}) != both);
  // H(0 || 0000017F || 00000001 000B 03 800000 || H(PCR 7)), as Part 3 has it.
  const auto by_hand = Writer{}
                           .fill(32)
                           .u32be(0x17F)
                           .bytes(*parse_hex("00000001000b03800000"))
                           .bytes(crypto::sha256(Buffer(32, 7)))
                           .take();
  CHECK(seven == Buffer(crypto::sha256(by_hand)));
  CHECK(policy_authorize(HashAlg::sha256, Buffer(34, 1)) != policy_authorize(HashAlg::sha256, Buffer(34, 2)));
  CHECK(policy_authorize(HashAlg::sha256, Buffer(34, 1)) !=
        policy_authorize(HashAlg::sha256, Buffer(34, 1), as_bytes("reference")));
  auto unwritten = index();
  unwritten.attributes &= ~nv_written;
  CHECK(policy_authorize_nv(HashAlg::sha256, nv_name(index())) !=
        policy_authorize_nv(HashAlg::sha256, nv_name(unwritten)));
}

TEST_CASE("tpm policy: a value that nobody knows is an error, never zeroes") {
  const auto policy = policy_pcr(HashAlg::sha256, policy_start(HashAlg::sha256), {{HashAlg::sha256, {7}}}, {});
  REQUIRE_FALSE(policy);
  CHECK(policy.error().code == ErrorCode::missing);
}

TEST_CASE("tpm policy: the key that signs policies, as a TPM loads it") {
  const auto key = [](const char* spki) { return crypto::PublicKey::from_spki_der(*parse_base64(spki)).value(); };
  const auto area = policy_key_public(key(test::vectors::rsa_spki)).value();
  const auto& rsa = std::get<TpmRsa>(area.key);
  CHECK(rsa.key_bits == 2048);
  CHECK(rsa.exponent == 65537);
  CHECK(rsa.modulus.size() == 256);
  CHECK(public_key(area).value().spki_der() == *parse_base64(test::vectors::rsa_spki));
  const auto refused = policy_key_public(key(test::vectors::ec_spki));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
}

TEST_CASE("tpm objects: NV indices and sealed data, to bytes and back") {
  const auto nv = encode_tpm_nv_public(index());
  CHECK(to_hex(nv) == "01c20001000b200200020020" + to_hex(Buffer(32, 7)) + "0022");
  CHECK(decode_tpm_nv_public(nv).value() == index());
  test::rejects_every_prefix(nv, decode_tpm_nv_public);
  test::notices_every_byte(nv, 0, nv.size(), decode_tpm_nv_public);
  CHECK(nv_name(index()).size() == 34);

  const auto object = encode_tpm_sealed_public(sealed());
  CHECK(decode_tpm_sealed_public(object).value() == sealed());
  test::rejects_every_prefix(object, decode_tpm_sealed_public);
  test::notices_every_byte(object, 0, object.size(), decode_tpm_sealed_public);
  CHECK(to_hex(sealed_name(sealed())) == "000b" + crypto::sha256_hex(object));
  CHECK_FALSE(decode_tpm_public(object));
  CHECK_FALSE(decode_tpm_sealed_public(encode_tpm_public(attestation_key_template())));
  // type, no auth value, seed and data with their sizes.
  CHECK(to_hex(encode_tpm_sealed_sensitive({}, Buffer(2, 1), Buffer(3, 2))) == "00080000000201010003020202");
}

TEST_CASE("tpm objects: defects") {
  struct NvRow {
    const char* name;
    void (*damage)(TpmNvPublic&);
  };
  const NvRow indices[] = {
      {"a persistent handle", [](TpmNvPublic& nv) { nv.index = 0x81000001; }},
      {"an unknown name algorithm", [](TpmNvPublic& nv) { nv.name_alg = static_cast<HashAlg>(0x99); }},
      {"a policy longer than any digest", [](TpmNvPublic& nv) { nv.auth_policy = Buffer(65); }}};
  for (const auto& row : indices) {
    INFO(row.name);
    auto damaged = index();
    row.damage(damaged);
    // A Name needs an algorithm that exists: only the bytes are made.
    CHECK(decode_tpm_nv_public(encode_tpm_nv_public(damaged)).error().code == ErrorCode::malformed);
  }
  const auto object = encode_tpm_sealed_public(sealed());
  struct Row {
    const char* name;
    std::size_t at;
    std::uint8_t value;
  };
  // type 0, nameAlg 2, attributes 4, policy 8 (34 bytes), scheme 42, unique 44 (34 bytes)
  const Row objects[] = {{"an ECC key", 1, 0x23},
                         {"an unknown name algorithm", 3, 0x99},
                         {"a policy longer than any digest", 9, 65},
                         {"an HMAC scheme", 43, 0x05},
                         {"unique longer than any digest", 45, 65}};
  for (const auto& row : objects) {
    INFO(row.name);
    auto damaged = object;
    damaged[row.at] = row.value;
    CHECK(decode_tpm_sealed_public(damaged).error().code == ErrorCode::malformed);
  }
  auto longer = object;
  longer.push_back(0);
  CHECK_FALSE(decode_tpm_sealed_public(longer));
}
