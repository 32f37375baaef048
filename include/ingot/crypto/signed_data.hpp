// Detached PKCS#7 signatures (RFC 2315) by the rules of UEFI firmware, for updates of its variables: a chain of
// certificates may lead to the one that is enrolled, over SHA-256 alone. The kernel's rules for modules are others:
// detached.hpp.
#pragma once

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

/// `signed_data`: a SignedData in DER, with or without the ContentInfo around it. Error (crypto) unless it is a valid
/// signature over `message` whose signer is `anchor`, or was issued under it through the certificates in the signature.
/// Times are not checked: firmware has no clock that it trusts. Error (unsupported): another digest than SHA-256, which
/// is all that firmware has to know (UEFI 2.10, "Using the EFI_VARIABLE_AUTHENTICATION_2 descriptor").
Result<void> verify_signed_data(Bytes signed_data, Bytes message, const Certificate& anchor);

}  // namespace ingot::crypto
