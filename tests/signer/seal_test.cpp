// Sealing without a TPM. That a TPM opens what is made here is tests/tool/seal_test.cpp's to say.
#include "ingot/signer/seal.hpp"

#include <malloc.h>
#include <openssl/evp.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ingot/base/reader.hpp"
#include "ingot/crypto/agreement.hpp"
#include "ingot/crypto/kdf.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/fleet/credential.hpp"
#include "ingot/fleet/storage_key.hpp"

using namespace ingot;
using namespace ingot::codec;
using namespace ingot::signer;

namespace {

/// What must not be in memory that is given back; looked for while `armed`.
std::vector<Bytes>* armed = nullptr;
std::size_t leaks = 0;

void look_into(void* block) {
  if (armed == nullptr || block == nullptr) return;
  for (const auto needle : *armed)
    if (::memmem(block, ::malloc_usable_size(block), needle.data(), needle.size()) != nullptr) ++leaks;
}

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* block = std::malloc(size == 0 ? 1 : size);
  // What others left in it is not ours to answer for.
  return block == nullptr ? nullptr : std::memset(block, 0, ::malloc_usable_size(block));
}
void* operator new(std::size_t size) {
  if (void* block = operator new(size, std::nothrow)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept {
  look_into(block);
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  look_into(block);
  std::free(block);
}

namespace {

TpmPublic srk() {
  namespace attribute = object_attribute;
  TpmPublic key;
  key.attributes = attribute::fixed_tpm | attribute::fixed_parent | attribute::sensitive_data_origin |
                   attribute::user_with_auth | attribute::no_da | attribute::restricted | attribute::decrypt;
  // A point whose private number is gone (key_vectors.hpp); with the base point the agreed secret would be public.
  key.key = TpmEcc{{TpmAlg::aes, 128, TpmAlg::cfb},
                   {},
                   TpmCurve::p256,
                   parse_hex("14ed7b94cbcf33304abd27cadd86ebbf297253aef206bdff751995852b231a96").value(),
                   parse_hex("4c81904695c780b12820f202faebfc7e95915d49bd37faa3a1de84695620f1fc").value()};
  return key;
}

TpmPublic rsa_srk() {
  auto key = srk();
  // Any odd number of 2048 bits is a key as far as anybody can tell who has not factored it.
  Buffer modulus(256, 0xC5);
  key.key = TpmRsa{{TpmAlg::aes, 128, TpmAlg::cfb}, {}, 2048, 0, modulus};
  return key;
}

const Buffer policy(32, 0x70);

SealNumbers numbers() { return {crypto::Secret(Buffer(32, 0x5E)), crypto::Secret(Buffer(32, 0x11))}; }

Buffer aes_cfb_decrypt(Bytes key, Bytes encrypted) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const Buffer iv(16);
  Buffer out(encrypted.size());
  int size = 0;
  REQUIRE(EVP_DecryptInit_ex(context, EVP_aes_128_cfb128(), nullptr, key.data(), iv.data()) == 1);
  REQUIRE(EVP_DecryptUpdate(context, out.data(), &size, encrypted.data(), static_cast<int>(encrypted.size())) == 1);
  EVP_CIPHER_CTX_free(context);
  return out;
}

/// The content of a TPM2B that is all there is.
Bytes content(Bytes tpm2b) {
  Reader in{tpm2b};
  const auto inside = in.bytes(in.u16be());
  REQUIRE((in.ok() && in.left() == 0));
  return inside;
}

}  // namespace

TEST_CASE("seal: the three parts are what the specification puts together") {
  const Buffer secret(40, 0xA5);
  const auto made = seal_with(srk(), secret, policy, numbers()).value();
  const auto object = decode_tpm_sealed_public(content(made.object_public)).value();
  CHECK(object.auth_policy == policy);
  CHECK(object.attributes == object_attribute::no_da);
  CHECK(object.unique == sealed_unique(HashAlg::sha256, Buffer(32, 0x5E), secret));
  const auto shared = fleet::share_secret_with(srk(), "DUPLICATE", Buffer(32, 0x11)).value();
  CHECK(to_buffer(content(made.encrypted_seed)) == shared.encrypted);

  const auto name = sealed_name(object);
  Reader in{content(made.duplicate)};
  const auto outer_hmac = in.bytes(in.u16be());
  const auto encrypted = in.rest();
  const auto hmac_key = crypto::kdfa(HashAlg::sha256, shared.seed, "INTEGRITY", {}, {}, 256);
  CHECK(to_buffer(outer_hmac) == crypto::hmac(HashAlg::sha256, hmac_key, Writer{}.bytes(encrypted).bytes(name).view()));
  const auto key = crypto::kdfa(HashAlg::sha256, shared.seed, "STORAGE", name, {}, 128);
  const auto sensitive = encode_tpm_sealed_sensitive({}, Buffer(32, 0x5E), secret);
  CHECK(aes_cfb_decrypt(key, encrypted) == encode_tpm2b(sensitive));
}

TEST_CASE("seal: the same numbers give the same bytes, and nobody else's are the same") {
  const Buffer secret(32, 1);
  CHECK(seal_with(srk(), secret, policy, numbers()).value() == seal_with(srk(), secret, policy, numbers()).value());
  const auto first = seal_for(srk(), secret, policy).value(), second = seal_for(srk(), secret, policy).value();
  CHECK(first.object_public != second.object_public);
  CHECK(first.duplicate != second.duplicate);
  CHECK(first.encrypted_seed != second.encrypted_seed);
  const auto rsa = seal_for(rsa_srk(), secret, policy).value();
  CHECK(content(rsa.encrypted_seed).size() == 256);
}

TEST_CASE("seal: nothing secret is in memory that is given back") {
  const auto secret = crypto::random_bytes(32), seed_value = crypto::random_bytes(32);
  auto ephemeral = crypto::random_bytes(32);
  ephemeral[0] = 1;  // below the order
  const auto shared = fleet::share_secret_with(srk(), "DUPLICATE", ephemeral).value();
  const auto agreed = crypto::agree(public_key(srk()).value(), ephemeral).value();
  const SealNumbers given{crypto::Secret::copy_of(seed_value), crypto::Secret::copy_of(ephemeral)};
  const auto expected = seal_with(srk(), secret, policy, given).value();
  const auto name = sealed_name(decode_tpm_sealed_public(content(expected.object_public)).value());
  const auto key = crypto::kdfa(HashAlg::sha256, shared.seed, "STORAGE", name, {}, 128);
  const auto hmac_key = crypto::kdfa(HashAlg::sha256, shared.seed, "INTEGRITY", {}, {}, 256);
  std::vector<Bytes> needles = {secret, seed_value, ephemeral, shared.seed, agreed.z, key, hmac_key};
  const auto leaks_of = [&](auto&& work) {
    leaks = 0;
    armed = &needles;
    work();
    armed = nullptr;
    return leaks;
  };
  // The judge sees what is left behind.
  REQUIRE(leaks_of([&] { (void)to_buffer(secret).size(); }) > 0);
  CHECK(leaks_of([&] { (void)crypto::Secret::copy_of(secret); }) == 0);
  CHECK(leaks_of([&] {
          auto moved = crypto::Secret::copy_of(secret);
          auto over = crypto::Secret::copy_of(seed_value);
          over = std::move(moved);
        }) == 0);
  std::optional<Result<SealedSecret>> made;
  CHECK(leaks_of([&] { made = seal_with(srk(), secret, policy, given); }) == 0);
  CHECK(made->value() == expected);
  CHECK(leaks_of([&] { (void)seal_for(rsa_srk(), secret, policy); }) == 0);
}

TEST_CASE("seal: secrets and policies that are none") {
  CHECK(seal_for(srk(), Buffer(1), policy));
  CHECK(seal_for(srk(), Buffer(128), policy));
  struct Row {
    const char* name;
    std::size_t secret_size;
    Buffer policy;
  };
  const Row rows[] = {{"no secret", 0, policy},
                      {"a secret that is too long", 129, policy},
                      {"no policy", 32, {}},
                      {"a policy of SHA-384", 32, Buffer(48, 1)},
                      {"the policy of a fresh session", 32, Buffer(32, 0)}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto made = seal_for(srk(), Buffer(row.secret_size, 1), row.policy);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::usage);
  }
}

TEST_CASE("seal: keys that are no storage root key are refused, and each is told why") {
  namespace attribute = object_attribute;
  REQUIRE(fleet::check_storage_key(srk()));
  REQUIRE(fleet::check_storage_key(rsa_srk()));
  auto without_no_da = srk();
  without_no_da.attributes &= ~attribute::no_da;
  CHECK(fleet::check_storage_key(without_no_da));
  struct Row {
    const char* name;
    TpmPublic key;
    void (*damage)(TpmPublic&);
    const char* told;
  };
  const Row rows[] = {
      {"an attestation key", srk(), [](TpmPublic& k) { k = attestation_key_template(); }, "decrypt is clear"},
      {"an endorsement key, low range", srk(), [](TpmPublic& k) { k = endorsement_keys()[0].key; },
       "userWithAuth is clear"},
      {"an endorsement key, high range", srk(), [](TpmPublic& k) { k = endorsement_keys()[2].key; },
       "looks like an endorsement key"},
      {"not restricted", srk(), [](TpmPublic& k) { k.attributes &= ~attribute::restricted; }, "restricted is clear"},
      {"not fixed to its TPM", srk(), [](TpmPublic& k) { k.attributes &= ~attribute::fixed_tpm; }, "fixedTPM is clear"},
      {"not fixed to its parent", srk(), [](TpmPublic& k) { k.attributes &= ~attribute::fixed_parent; },
       "fixedParent is clear"},
      {"made elsewhere", srk(), [](TpmPublic& k) { k.attributes &= ~attribute::sensitive_data_origin; },
       "sensitiveDataOrigin is clear"},
      {"signs, too", srk(), [](TpmPublic& k) { k.attributes |= attribute::sign_encrypt; }, "sign is set"},
      {"gone after a restart", srk(), [](TpmPublic& k) { k.attributes |= attribute::st_clear; }, "stClear is set"},
      {"SHA-384 names", srk(), [](TpmPublic& k) { k.name_alg = HashAlg::sha384; }, "name algorithm sha384"},
      {"AES-256", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).symmetric.key_bits = 256; }, "of 256 bits"},
      {"no symmetric algorithm", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).symmetric = {}; }, "AES-128-CFB"},
      {"a scheme", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).scheme.alg = TpmAlg::ecdh; }, "scheme 0x0019"},
      {"P-384", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).curve = TpmCurve::p384; }, "curve 0x0004"},
      {"a curve that nobody knows", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).curve = TpmCurve{0x10}; },
       "curve 0x0010"},
      {"a point beside the curve", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).x[31] ^= 1; }, "a point of"},
      {"a template", srk(), [](TpmPublic& k) { std::get<TpmEcc>(k.key).x.clear(); }, "template"},
      {"an RSA template", rsa_srk(), [](TpmPublic& k) { std::get<TpmRsa>(k.key).modulus.clear(); }, "template"},
      {"RSA 3072", rsa_srk(), [](TpmPublic& k) { std::get<TpmRsa>(k.key).key_bits = 3072; }, "RSA of 3072 bits"},
      {"RSA exponent 3", rsa_srk(), [](TpmPublic& k) { std::get<TpmRsa>(k.key).exponent = 3; }, "exponent 3"},
      {"an RSA modulus that is too short", rsa_srk(), [](TpmPublic& k) { std::get<TpmRsa>(k.key).modulus.pop_back(); },
       "255 bytes"},
      {"an RSA modulus with a zero in front", rsa_srk(),
       [](TpmPublic& k) { std::get<TpmRsa>(k.key).modulus.front() = 0; }, "first of them set"}};
  for (const auto& row : rows) {
    INFO(row.name);
    auto key = row.key;
    row.damage(key);
    const auto made = seal_for(key, Buffer(32, 1), policy);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::crypto);
    INFO(made.error().message);
    CHECK(made.error().message.find(row.told) != std::string::npos);
    CHECK(made.error().remedy.find("tpm2_readpublic") != std::string::npos);
  }
}

TEST_CASE("seal: a file of a public area, with its size in front or without") {
  const auto area = encode_tpm_public(srk());
  CHECK(fleet::decode_public_file(area).value() == srk());
  CHECK(fleet::decode_public_file(encode_tpm2b(area)).value() == srk());
  const auto rsa = encode_tpm_public(rsa_srk());
  CHECK(fleet::decode_public_file(rsa).value() == rsa_srk());
  CHECK(fleet::decode_public_file(encode_tpm2b(rsa)).value() == rsa_srk());
  auto longer = encode_tpm2b(area);
  longer.push_back(0);
  for (const auto& bad : {Buffer{}, Buffer(1), Buffer(2), longer, to_buffer(as_bytes("-----BEGIN PUBLIC KEY-----"))}) {
    const auto decoded = fleet::decode_public_file(bad);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == ErrorCode::malformed);
    CHECK(decoded.error().remedy.find("tpm2_readpublic") != std::string::npos);
  }
}
