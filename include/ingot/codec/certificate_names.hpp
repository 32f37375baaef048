// Who a certificate is, read without OpenSSL: the agent tells people what is enrolled. RFC 5280, "Certificate". Nothing
// is verified.
#pragma once

#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

/// Views into the certificate; names are DER with their SEQUENCE header, the serial number with its INTEGER header.
struct CertificateNames {
  Bytes serial_number;
  Bytes issuer;
  Bytes subject;
};
Result<CertificateNames> decode_certificate_names(Bytes certificate_der);

/// A Name in RFC 2253's order: "CN=Example,O=Site". Attributes that have no short name there show their OID's bytes in
/// hexadecimal; what does not print is a question mark.
Result<std::string> name_text(Bytes name_der);

}  // namespace ingot::codec
