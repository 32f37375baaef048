// Detached PKCS#7 signatures (RFC 2315) by the rules of Linux, for kernel modules: of one signer, whose key must be the
// very one that is given, over any SHA, without attributes. Firmware's rules for variables are others: signed_data.hpp.
#pragma once

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

/// Who a signature says has made it, and how; nothing of it is verified.
struct DetachedSigner {
  HashAlg digest{};
  std::string issuer;  ///< RFC 2253 one-line name
  Buffer serial;       ///< big-endian, without leading zeroes
  Bytes signature;     ///< the signature value; its size is that of an RSA key. A view of what was decoded
};

/// Of a SignedData of one signer. Errors: malformed; unsupported, several signers, attributes, content inside, or a
/// digest that is none of SHA-1, SHA-256, SHA-384 and SHA-512; limit.
Result<DetachedSigner> detached_signer(Bytes pkcs7);

/// Error (crypto) unless the certificate's key has signed `content`, and the signature names the certificate by issuer
/// and serial number. Times are not checked: the kernel does not, either (Linux, crypto/asymmetric_keys/
/// pkcs7_trust.c). Other errors as above.
Result<void> verify_detached(Bytes pkcs7, Bytes content, const Certificate& signer);

}  // namespace ingot::crypto
