// The things that Ingot signs. Every result is a function of its inputs: same bytes in, same bytes out.
#pragma once

#include "ingot/base/source.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// The certificate table to append to an unsigned PE file (already 8-byte aligned in size): one WIN_CERTIFICATE with
/// a PKCS#7 SignedData over SpcIndirectDataContent, SHA-256, no signing time. `authenticode_sha256` is the file's
/// digest, `what` its name in the signature log.
Result<Buffer> authenticode_certificate_table(Bytes authenticode_sha256, const SigningKey& key,
                                              std::string_view what = "a PE file");

/// Signs an unsigned PE file into `out_path` (written whole or not at all): copies, sets the certificate table's data
/// directory, appends the table. Error (unsupported) when it is already signed.
Result<void> sign_pe(const SharedSource& file, const SigningKey& key, const std::string& out_path);

/// Copies a PE file without its certificate table (written whole or not at all). Unsigned files are copied as they are.
/// Error (unsupported) when data follows the table: it can't be told what that belongs to.
Result<void> strip_pe(const SharedSource& file, const std::string& out_path);

/// systemd's .pcrsig JSON for PCR 11, SHA-256 bank: one entry per phase path, in order. `pkfp`, `pol` and `sig` as
/// systemd-measure writes them.
Result<std::string> pcr_signature_json(const std::vector<Baseline::PhaseValue>& phases, const SigningKey& key);

/// The same for "enter-initrd" alone, with a release's generation (codec/pcr_signature.hpp): volumes of nodes that have
/// booted a newer one stay closed. Error (limit): none of 1 to measure::generation_cap.
Result<std::string> release_signature_json(const Baseline::PhaseValue& initrd, std::uint32_t generation,
                                           const SigningKey& key);

/// A policy of the kernel's Integrity Policy Enforcement, ready for securityfs: PKCS#7 SignedData (RFC 2315), DER, the
/// text inside, no attributes. Linux takes it when a keyring that it trusts has the certificate (Linux, Documentation/
/// admin-guide/LSM/ipe.rst, "Deploying Policies"); under Secure Boot db is one. Error (crypto) for a key that is not
/// RSA.
Result<Buffer> sign_ipe_policy(std::string_view policy, const SigningKey& key);

/// `what` is its name in the signature log.
Result<codec::DsseEnvelope> sign_dsse(std::string_view payload_type, Bytes payload, const SigningKey& key,
                                      std::string_view what = "a statement");

/// A JWT (RFC 7519) of these claims, signed with ES256; the header names the key by the SHA-256 of its
/// SubjectPublicKeyInfo ("kid").
Result<std::string> sign_jwt(std::string_view claims_json, const SigningKey& key);

/// The signature lists of a key folder: PK, KEK, db hold the folder's certificates, dbx one SHA-256 entry of zeros.
Result<codec::SecureBootKeys> secure_boot_keys(const KeyFolder& keys);

}  // namespace ingot::signer
