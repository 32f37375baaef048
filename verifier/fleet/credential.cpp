#include "ingot/fleet/credential.hpp"

#include <string>

#include "ingot/crypto/agreement.hpp"
#include "ingot/crypto/kdf.hpp"
#include "ingot/crypto/random.hpp"

namespace ingot::fleet {
namespace {

constexpr std::string_view identity_label = "IDENTITY";
constexpr std::string_view storage_label = "STORAGE";
constexpr std::string_view integrity_label = "INTEGRITY";

std::uint32_t digest_bits(HashAlg alg) { return static_cast<std::uint32_t>(digest_size_bytes(alg) * 8); }

Result<SharedSecret> share_rsa(const codec::TpmPublic& key, std::string_view label) {
  // Part 1, B.4 "RSAES_OAEP": the label with its NUL; a restricted key has no scheme, and its name algorithm is used.
  const auto& scheme = std::get<codec::TpmRsa>(key.key).scheme;
  const auto alg = scheme.alg == codec::TpmAlg::oaep ? scheme.hash : key.name_alg;
  SharedSecret secret;
  secret.seed = crypto::Secret(crypto::random_bytes(digest_size_bytes(alg)));
  const auto label_with_nul = std::string(label) + '\0';
  secret.encrypted = TRY(crypto::oaep_encrypt(TRY(codec::public_key(key)), alg, as_bytes(label_with_nul), secret.seed));
  return secret;
}

Result<SharedSecret> share_ecc(const codec::TpmPublic& key, std::string_view label, Bytes ephemeral_private) {
  // Part 1, C.6.1 "ECDH", and "KDFe": seed := KDFe(nameAlg, Z, label, ephemeral.x, static.x, bits).
  const auto agreed = TRY(crypto::agree(TRY(codec::public_key(key)), ephemeral_private));
  SharedSecret secret;
  secret.seed =
      crypto::kdfe(key.name_alg, agreed.z, label, agreed.ephemeral_x, agreed.static_x, digest_bits(key.name_alg));
  Writer point;
  codec::encode_tpm2b(point, agreed.ephemeral_x);
  codec::encode_tpm2b(point, agreed.ephemeral_y);
  secret.encrypted = point.take();
  return secret;
}

/// The key's own symmetric algorithm protects what is handed to it (Part 1, "Credential Protection").
Result<std::size_t> protection_key_bytes(const codec::TpmPublic& key) {
  const auto& symmetric =
      std::visit([](const auto& one) -> const codec::TpmSymmetric& { return one.symmetric; }, key.key);
  if (symmetric.alg != codec::TpmAlg::aes || symmetric.mode != codec::TpmAlg::cfb ||
      (symmetric.key_bits != 128 && symmetric.key_bits != 192 && symmetric.key_bits != 256))
    return fail(ErrorCode::crypto, "not a storage key: it names no AES-CFB to protect what is handed to it");
  return symmetric.key_bits / 8u;
}

}  // namespace

Result<SharedSecret> share_secret(const codec::TpmPublic& key, std::string_view label) {
  return std::holds_alternative<codec::TpmRsa>(key.key) ? share_rsa(key, label) : share_ecc(key, label, {});
}

Result<SharedSecret> share_secret_with(const codec::TpmPublic& key, std::string_view label, Bytes ephemeral_private) {
  return share_ecc(key, label, ephemeral_private);
}

Result<Buffer> protect(const codec::TpmPublic& key, Bytes seed, Bytes name, Bytes plain) {
  const auto key_bytes = TRY(protection_key_bytes(key));
  const auto symmetric_key =
      crypto::kdfa(key.name_alg, seed, storage_label, name, {}, static_cast<std::uint32_t>(key_bytes * 8));
  const auto identity = crypto::aes_cfb_encrypt(symmetric_key, plain);
  const auto integrity_key = crypto::kdfa(key.name_alg, seed, integrity_label, {}, {}, digest_bits(key.name_alg));
  Writer out;
  codec::encode_tpm2b(out, crypto::hmac(key.name_alg, integrity_key, Writer{}.bytes(identity).bytes(name).view()));
  return out.bytes(identity).take();
}

Result<Credential> make_credential(const codec::TpmPublic& ek, Bytes object_name, Bytes secret) {
  if (secret.size() > digest_size_bytes(ek.name_alg))
    return fail(ErrorCode::usage, "the secret is longer than the digest of the key's name algorithm");
  auto shared = TRY(share_secret(ek, identity_label));
  const auto size = Writer{}.u16be(static_cast<std::uint16_t>(secret.size())).take();
  auto id_object = TRY(protect(ek, shared.seed, object_name, crypto::concatenate({size, secret})));
  return Credential{std::move(id_object), std::move(shared.encrypted)};
}

Buffer encode_credential_blob(const Credential& credential) {
  constexpr std::uint32_t magic = 0xBADCC0DE, version = 1;
  Writer out;
  out.u32be(magic).u32be(version);
  codec::encode_tpm2b(out, credential.id_object);
  codec::encode_tpm2b(out, credential.encrypted_secret);
  return out.take();
}

}  // namespace ingot::fleet
