// Private keys. The only room that touches them.
#pragma once

#include <memory>
#include <string>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/crypto/certificate.hpp"

namespace ingot::signer {

/// A private key and, where one belongs to it, its certificate. Wiped when destroyed.
class SigningKey {
 public:
  /// PEM (PKCS#8 or traditional) at `key_path`; refuses files that others can read. `certificate_path` may be empty.
  static Result<SigningKey> load(const std::string& key_path, const std::string& certificate_path = {});
  [[nodiscard]] const crypto::PublicKey& public_key() const;
  /// Error (missing) when the key has no certificate.
  [[nodiscard]] Result<crypto::Certificate> certificate() const;
  /// RSA: PKCS#1 v1.5 (deterministic). Ed25519: pure. EC is refused where a deterministic result is needed.
  [[nodiscard]] Result<Buffer> sign(HashAlg alg, Bytes message) const;
  /// ES256 (RFC 7518, "Digital Signature with ECDSA"): r and s, 64 bytes; another signature each time. Error (crypto)
  /// for a key that is not on P-256.
  [[nodiscard]] Result<Buffer> sign_es256(Bytes message) const;

  struct State;
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  explicit SigningKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Files of a key folder made by `ingot keys init`:
/// PK, KEK, db (.key, .crt PEM; RSA-2048 X.509), pcr (.key, .pub PEM; RSA-2048), baseline (.key, .pub PEM; Ed25519),
/// verdict (.key, .pub PEM; EC P-256), tls-ca (.key, .crt PEM; EC P-256 X.509 authority; may be missing), recovery
/// (.key, .crt PEM; RSA-3072 X.509 that recovery keys of volumes are encrypted to; the key, or both, may be missing),
/// owner.guid.
struct KeyFolder {
  std::string path;
  [[nodiscard]] std::string key(std::string_view name) const { return path + "/" + std::string(name) + ".key"; }
  [[nodiscard]] std::string certificate(std::string_view name) const { return path + "/" + std::string(name) + ".crt"; }
  [[nodiscard]] std::string public_key(std::string_view name) const { return path + "/" + std::string(name) + ".pub"; }
};
/// Makes every key; errors (usage) when the folder already holds one. Private keys 0600, folder 0700, whole or not at
/// all.
Result<KeyFolder> init_keys(const std::string& folder);
/// Checks that all files are there and that keys belong to their certificates.
Result<KeyFolder> open_keys(const std::string& folder);
Result<Guid> owner_guid(const KeyFolder& keys);

}  // namespace ingot::signer
