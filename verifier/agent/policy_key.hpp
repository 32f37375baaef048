// The PCR policy key as .pcrpkey carries it, without OpenSSL's machinery (hash.cpp says why).
#pragma once

#include <string_view>

#include "ingot/codec/tpm.hpp"

namespace ingot::agent {

/// PEM of a SubjectPublicKeyInfo (RFC 5280, 4.1) with an RSA key (RFC 3279, 2.3.1), as the TPM loads it:
/// measure::policy_key_public(). Errors: malformed; unsupported, another kind of key.
Result<codec::TpmPublic> read_policy_key(std::string_view pem);

}  // namespace ingot::agent
