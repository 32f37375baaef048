// PKCS#7 SignedData (RFC 2315), as firmware and kernels want it: one maker for images, variables, modules and policies.
// Internal to signer/.
#pragma once

#include <array>
#include <vector>

#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// 1.2.840.113549.1.7.1, "data", with its header.
inline constexpr std::array<std::uint8_t, 11> pkcs7_data_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                                0xF7, 0x0D, 0x01, 0x07, 0x01};
/// AlgorithmIdentifier of SHA-256 with parameters NULL, as most write it.
inline constexpr std::array<std::uint8_t, 15> sha256_algorithm = {0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                                  0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};
/// The same without parameters: RFC 5754, "SHA2 Algorithm Identifiers".
inline constexpr std::array<std::uint8_t, 13> bare_sha256_algorithm = {0x30, 0x0B, 0x06, 0x09, 0x60, 0x86, 0x48,
                                                                       0x01, 0x65, 0x03, 0x04, 0x02, 0x01};

enum class Envelope {
  content_info,  ///< the SignedData in a ContentInfo that says what it is
  none,          ///< the SignedData alone, as UEFI has it in variables
};
enum class OwnCertificate { inside, left_out };

/// In what the makers differ. All else is the same: version 1, one signer, told by issuer and serial number; SHA-256,
/// RSA (PKCS#1 v1.5).
struct SignedDataForm {
  Bytes content_type = pkcs7_data_oid;  ///< OBJECT IDENTIFIER with its header
  Bytes content = {};                   ///< in DER, goes inside; empty: what is signed lies elsewhere
  /// Each an Attribute in DER, in any order. With some, their SET is what is signed, and one of them has to be the
  /// digest of the message. Without any, the message is signed.
  std::vector<Buffer> attributes = {};
  Bytes digest_algorithm = sha256_algorithm;
  OwnCertificate certificate = OwnCertificate::left_out;
  Envelope envelope = Envelope::content_info;
};

/// DER. The key's certificate names the signer. Errors (missing): the key has none; else SigningKey::sign()'s. Callers
/// have looked that it is an RSA key.
Result<Buffer> sign_pkcs7(const SignedDataForm& form, Bytes message, const SigningKey& key,
                          const SigningPurpose& purpose);

/// A value of these parts in DER.
Buffer der_of(std::uint8_t tag, std::initializer_list<Bytes> parts);

}  // namespace ingot::signer
