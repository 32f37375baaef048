// The things that Ingot signs. Every result is a function of its inputs: same bytes in, same bytes out.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/signer/key.hpp"
#include "ingot/signer/pe.hpp"

namespace ingot::signer {

/// systemd's .pcrsig JSON for PCR 11, SHA-256 bank: one entry per phase path, in order. `pkfp`, `pol` and `sig` as
/// systemd-measure writes them.
Result<std::string> pcr_signature_json(const std::vector<Baseline::PhaseValue>& phases, const SigningKey& key);

/// The same for "enter-initrd" alone, with a release's generation (codec/pcr_signature.hpp): volumes of nodes that have
/// booted a newer one stay closed. `system`: policies of later phases, for secrets that the running system may open;
/// the key is another one, so that they open no volume. Error (limit): none of 1 to measure::generation_cap.
struct SystemPolicies {
  std::vector<Baseline::PhaseValue> phases;
  const SigningKey* key = nullptr;  ///< null: none
};
Result<std::string> release_signature_json(const Baseline::PhaseValue& initrd, std::uint32_t generation,
                                           const SigningKey& key, const SystemPolicies& system = {});

/// A policy of the kernel's Integrity Policy Enforcement, ready for securityfs: PKCS#7 SignedData (RFC 2315), DER, the
/// text inside, no attributes. Linux takes it when a keyring that it trusts has the certificate (Linux, Documentation/
/// admin-guide/LSM/ipe.rst, "Deploying Policies"); under Secure Boot db is one. Error (crypto) for a key that is not
/// RSA.
Result<Buffer> sign_ipe_policy(std::string_view policy, const SigningKey& key);

/// Signature of a dm-verity root hash: detached PKCS#7 (RFC 2315), DER, over its hexadecimal text, without attributes:
/// what the kernel (DM_VERITY_VERIFY_ROOTHASH_SIG) and `veritysetup --root-hash-signature` take. Error (crypto) for a
/// key that is not RSA.
Result<Buffer> sign_root_hash(std::string_view root_hash, const SigningKey& key);

/// `what` is its name in the signature log.
Result<codec::DsseEnvelope> sign_dsse(std::string_view payload_type, Bytes payload, const SigningKey& key,
                                      std::string_view what = "a statement");

/// A JWT (RFC 7519) of these claims, signed with ES256; the header names the key by the SHA-256 of its
/// SubjectPublicKeyInfo ("kid").
Result<std::string> sign_jwt(std::string_view claims_json, const SigningKey& key);

/// The signature lists of a key folder: PK, KEK, db hold the folder's certificates, dbx one SHA-256 entry of zeros.
/// What its db.esl and dbx.esl have, where they are, follows.
Result<codec::SecureBootKeys> secure_boot_keys(const KeyFolder& keys);

}  // namespace ingot::signer
