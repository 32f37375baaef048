// LUKS2 by libcryptsetup. Internal to signer/.
#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

// LUKS2 On-Disk Format Specification 1.1, "LUKS2 On-Disk Format": two copies of the metadata, then the key slots.
inline constexpr std::uint64_t luks_metadata_bytes = 16u << 10;

/// Formats the file, which has volume_header_bytes already, with a new volume key and one key slot: AES-256-XTS,
/// 4096-byte sectors, PBKDF2 with luks_hash and the fewest iterations.
Result<void> format_luks_device(const std::string& path, Bytes passphrase);

/// The volume key of the header in the file.
Result<crypto::Secret> open_luks_device(const std::string& path, Bytes passphrase);

}  // namespace ingot::signer
