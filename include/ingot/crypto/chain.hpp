// Certification paths. RFC 5280, "Certification Path Validation", by OpenSSL.
#pragma once

#include <cstdint>
#include <vector>

#include "ingot/crypto/certificate.hpp"

namespace ingot::crypto {

struct ChainQuestion {
  std::vector<Certificate> intermediates;  ///< untrusted
  std::vector<Certificate> anchors;        ///< trusted; need not be self-signed
  std::int64_t now = 0;                    ///< seconds since 1970
};
struct ChainAnswer {
  std::string anchor;    ///< subject of the certificate that the path ends in
  bool expired = false;  ///< a path was found only with the validity periods left out
};
/// Error (crypto) when no path from `leaf` to an anchor holds.
Result<ChainAnswer> verify_chain(const Certificate& leaf, const ChainQuestion& question);

/// True for a certificate without extended key usage, and for one that has this usage ("2.23.133.8.1").
bool allows_usage(const Certificate& certificate, const char* oid);

/// True for a certificate that may sign others (RFC 5280, "Basic Constraints" and "Key Usage").
bool is_authority(const Certificate& certificate);

/// True for a certificate of an RSA key that messages may be encrypted to (RFC 5280, "Key Usage": keyEncipherment, or
/// no usage named at all).
bool can_receive(const Certificate& certificate);

/// Size of the DER element that the bytes start with (ITU-T X.690, "Length octets"); nothing when they are none, or
/// when it is longer than they are.
std::optional<std::size_t> der_element_size(Bytes bytes);

}  // namespace ingot::crypto
