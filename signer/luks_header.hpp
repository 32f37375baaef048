// LUKS2 by libcryptsetup. Internal to signer/.
#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

/// Formats the file, which has volume_header_bytes already, with a new volume key that only key slot 0 gives out, to
/// `passphrase`, and with one token. The passphrase must have the entropy of a key: its slot has the fewest iterations
/// of PBKDF2 that libcryptsetup takes. The header's UUID.
Result<std::string> format_luks_header(const std::string& path, const crypto::Secret& passphrase,
                                       const std::string& token_json);

}  // namespace ingot::signer
