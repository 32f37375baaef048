// Private keys. The only room that touches them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/codec/signing.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

/// The kinds that we use; any other is refused as weak or unknown when it is loaded.
enum class KeyKind {
  rsa,   ///< 2048 bits and more
  p256,  ///< EC on P-256
  ed25519,
};

/// What a signature is for. It becomes an entry of the signature log, which people read.
struct SigningPurpose {
  std::string what;  ///< in plain words: "Authenticode of UKI training 7"
  Buffer digest;     ///< what people know the signed thing by, as a PE file's Authenticode digest; may be empty
};

/// Where this process gets a token's PIN or the passphrase of an encrypted key, when a reference names no pin-source.
/// The first that is there counts: `file` or `descriptor`; the systemd credential "ingot.NAME" (NAME.key, NAME.uri; the
/// object's label in a URI) or "ingot.pin"; `ask`.
struct PinSources {
  std::string file;     ///< its first line; refused when others can read it; may be empty
  int descriptor = -1;  ///< its first line, read once; -1: none
  /// Asks a person, without echo; empty when there is no terminal.
  std::function<Result<crypto::Secret>(const std::string& prompt)> ask;
};
/// For all keys that are loaded from now on.
void set_pin_sources(PinSources sources);

/// A private key and, where one belongs to it, its certificate. The private half stays where it is: wiped when the last
/// copy goes, or in its token. Every signature is in the signature log before it is handed out; one that can't be
/// written there is not handed out.
///
/// The log is the file that INGOT_SIGN_LOG names, else signatures.log in the folder of the key's file (NAME.key,
/// NAME.uri), else, for a URI given as such, $XDG_STATE_HOME/ingot/signatures.log (default ~/.local/state).
class SigningKey {
 public:
  /// `reference` (signer/keys.md): a PEM file (PKCS#8 or traditional, encrypted or not; refused when others can read
  /// it), a PKCS#11 URI (RFC 7512), or a file NAME.uri that holds one. `certificate_path` (PEM) may be empty.
  /// Errors: crypto for a key that is weak, a certificate that is not this key's or not valid now (SOURCE_DATE_EPOCH
  /// when that is set), a PIN or passphrase that is not right (tried once, and never again by this process); missing
  /// for a token that is not there.
  static Result<SigningKey> load(const std::string& reference, const std::string& certificate_path = {});
  [[nodiscard]] const crypto::PublicKey& public_key() const;
  [[nodiscard]] KeyKind kind() const;
  /// For people: "keys/db.key", "token site, object db".
  [[nodiscard]] const std::string& place() const;
  /// Error (missing) when the key has no certificate.
  [[nodiscard]] Result<crypto::Certificate> certificate() const;
  /// RSA: PKCS#1 v1.5 (deterministic). Ed25519: pure (alg ignored). EC is refused where a deterministic result is
  /// needed. Error (io): the token gives no answer, or the log can't be written. A sync of the log takes longer than a
  /// signature; threads that sign at the same time share one.
  [[nodiscard]] Result<Buffer> sign(const SigningPurpose& purpose, HashAlg alg, Bytes message) const;
  /// ES256 (RFC 7518, "Digital Signature with ECDSA"): r and s, 64 bytes; another signature each time. Error (crypto)
  /// for a key that is not on P-256.
  [[nodiscard]] Result<Buffer> sign_es256(const SigningPurpose& purpose, Bytes message) const;

  struct State;
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  friend struct KeyFolder;
  explicit SigningKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Seconds since 1970, both included. RFC 5280, "Validity".
struct CertificateTimes {
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
};
Result<CertificateTimes> certificate_times(const crypto::Certificate& certificate);

/// Files of a key folder made by `ingot keys init`:
/// PK, KEK, db (.key, .crt PEM; RSA-2048 X.509), pcr (.key, .pub PEM; RSA-2048), pcr-system (the same, of the
/// running system's phases; may be missing), baseline (.key, .pub PEM; Ed25519),
/// verdict (.key, .pub PEM; EC P-256), provenance (.key, .pub PEM; Ed25519; may be missing), tls-ca (.key, .crt PEM; EC
/// P-256 X.509 authority; may be missing), recovery
/// (.key, .crt PEM; RSA-3072 X.509 that recovery keys of volumes are encrypted to; the key, or both, may be missing),
/// owner.guid; db.esl and dbx.esl (signature lists; may be missing): what db and dbx of its machines have besides.
/// In place of NAME.key there may be NAME.uri: one line, the PKCS#11 URI of a key in a token.
struct KeyFolder {
  std::string path;
  /// A reference: NAME.uri where that is, NAME.key otherwise.
  [[nodiscard]] std::string key(std::string_view name) const;
  [[nodiscard]] std::string certificate(std::string_view name) const { return path + "/" + std::string(name) + ".crt"; }
  [[nodiscard]] std::string public_key(std::string_view name) const { return path + "/" + std::string(name) + ".pub"; }

  /// Keys sign with this answer of another machine, and nobody looks for their private halves. Null: they sign.
  std::shared_ptr<const codec::SigningAnswer> answer = {};
  /// What keys of this folder sign is put here, too. Null: nowhere.
  std::shared_ptr<std::vector<codec::AnsweredSignature>> made = {};

  /// The key of that name, with its certificate where it has one. Errors: those of SigningKey::load().
  [[nodiscard]] Result<SigningKey> load(std::string_view name) const;
  /// Who signs what was built where: on the machine that builds, whatever `answer` says. Of a folder without the key
  /// "provenance" it is the baseline's; error (missing) when that is on another machine.
  [[nodiscard]] Result<SigningKey> provenance_key() const;
  [[nodiscard]] Result<crypto::Certificate> certificate_of(std::string_view name) const;
  /// Of the certificate, or else of the .pub file.
  [[nodiscard]] Result<crypto::PublicKey> public_half(std::string_view name) const;
};
/// Makes every key; errors (usage) when the folder already holds one. Private keys 0600, folder 0700, whole or not at
/// all.
Result<KeyFolder> init_keys(const std::string& folder);
/// Checks that all files are there and that keys belong to their certificates, as SigningKey::load() does.
Result<KeyFolder> open_keys(const std::string& folder);
/// A folder whose private keys are on another machine, all but provenance.key. Checks that the public halves of PK,
/// KEK, db, pcr and baseline are there.
Result<KeyFolder> open_public_keys(const std::string& folder);
Result<Guid> owner_guid(const KeyFolder& keys);

}  // namespace ingot::signer
