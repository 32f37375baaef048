// Authenticated updates of PK, KEK, db and dbx, signed. UEFI 2.10, "Using the EFI_VARIABLE_AUTHENTICATION_2
// descriptor". The bytes are those of efitools' sign-efi-sig-list.
#pragma once

#include <string>
#include <vector>

#include "ingot/codec/authenticated_variable.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// PKCS#7 SignedData (RFC 2315), DER, without the ContentInfo around it: detached, SHA-256, RSA (PKCS#1 v1.5), no
/// attributes (so no signing time), the signer's certificate inside. Error (crypto): the key is not RSA; (missing): it
/// has no certificate.
Result<Buffer> sign_detached(const SigningPurpose& purpose, Bytes message, const SigningKey& key);

/// An update of a variable, ready for firmware. Errors: sign_detached()'s; no calendar date (usage); content that is no
/// signature lists, PK with anything but one certificate, X.509 entries that are no certificates (malformed).
struct VariableUpdate {
  const codec::KeyVariable* variable = nullptr;  ///< of codec::key_variables
  codec::UpdateKind kind{};
  codec::EfiTime time;
  Buffer content;  ///< signature lists
};
Result<Buffer> sign_update(const VariableUpdate& update, const SigningKey& key);

/// What signing would put the key's name to, one line each: the variable, what is done to it, and every entry (owner,
/// certificate's subject or digest).
Result<std::vector<std::string>> describe_update(const VariableUpdate& update);

/// The updates that enrol a key folder in a machine in setup mode: dbx, db, KEK, PK. db and dbx are signed by KEK, KEK
/// and PK by PK; contents are those of secure_boot_keys(), so that a machine measures what a build's VARS.fd makes it
/// measure.
struct EnrolmentUpdate {
  VariableUpdate update;
  Buffer auth;  ///< the signed file
};
Result<std::vector<EnrolmentUpdate>> enrolment_updates(const KeyFolder& keys, const codec::EfiTime& time);

}  // namespace ingot::signer
