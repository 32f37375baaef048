// Authenticode signatures (Microsoft "Windows Authenticode Portable Executable Signature Format" 1.0), as UEFI firmware
// verifies them (UEFI 2.10, "Firmware/OS Key Exchange: creating trust relationships", "UEFI Image Validation").
#pragma once

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

/// What a signature says it is over.
struct SignedImageDigest {
  HashAlg alg{};
  Buffer digest;
};
/// SpcIndirectDataContent.messageDigest of a PKCS#7 SignedData; not verified yet.
Result<SignedImageDigest> signed_image_digest(Bytes pkcs7);

/// Error (crypto) unless the signature is valid and its signer is `anchor`, or was issued under it through the
/// certificates in the signature. Times are not checked: firmware has no clock that it trusts.
Result<void> verify_authenticode(Bytes pkcs7, const Certificate& anchor);

}  // namespace ingot::crypto
