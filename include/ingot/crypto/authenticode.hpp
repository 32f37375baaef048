// Authenticode signatures (Microsoft "Windows Authenticode Portable Executable Signature Format" 1.0), as UEFI firmware
// verifies them (UEFI 2.10, "Firmware/OS Key Exchange: creating trust relationships", "UEFI Image Validation").
#pragma once

#include <vector>

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

/// What a signature says it is over.
struct SignedImageDigest {
  HashAlg alg{};
  Buffer digest;
};
/// SpcIndirectDataContent.messageDigest of a PKCS#7 SignedData; not verified yet.
Result<SignedImageDigest> signed_image_digest(Bytes pkcs7);

/// What a signature says of itself, for people; nothing of it is verified.
struct AuthenticodeSignature {
  SignedImageDigest image;
  std::string signer, issuer;  ///< RFC 2253 names; the signer's is empty when its certificate is not in the signature
  std::string serial;          ///< hexadecimal
  std::string key;             ///< the signer's: "RSA-2048"; empty as `signer`
  std::optional<std::int64_t> signing_time;  ///< seconds since 1970, as the signer claims
  std::vector<Certificate> certificates;
  /// The signer's, when it is among the certificates.
  std::optional<Certificate> signer_certificate;
};
/// Errors: not a PKCS#7 signature over a PE image, not exactly one signer (malformed), a hash that is not SHA-256, -384
/// or -512 (unsupported), more than 16 certificates (limit).
Result<AuthenticodeSignature> decode_authenticode(Bytes pkcs7);

/// Error (crypto) unless the signature is valid and its signer is `anchor`, or was issued under it through the
/// certificates in the signature. Times are not checked: firmware has no clock that it trusts.
Result<void> verify_authenticode(Bytes pkcs7, const Certificate& anchor);

}  // namespace ingot::crypto
