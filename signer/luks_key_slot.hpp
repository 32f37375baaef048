// What a LUKS2 key slot holds: the volume key, split and encrypted. Internal to signer/.
#pragma once

#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

inline constexpr std::size_t luks_key_bytes = 64;  ///< AES-256 twice: XTS. Of the volume, and of the key slot's area
/// One hash for all of it. With 64-byte keys SHA-256 costs half of SHA-512 where the processor knows it.
inline constexpr const char* luks_hash = "sha256";
inline constexpr std::size_t luks_stripes = 4000;
inline constexpr std::size_t luks_slot_bytes = luks_key_bytes * luks_stripes;  ///< whole sectors of 512 bytes

/// Fills `area` with the volume key, split with SHA-256 (LUKS On-Disk Format 1.2.3, "Anti-forensic splitting") and
/// encrypted under `area_key` as "aes-xts-plain64" in sectors of 512 bytes, counted from the start of the area (LUKS2
/// 1.1.3, "Keyslots"). Precondition: luks_slot_bytes of area, luks_key_bytes of each key.
void fill_key_slot(MutableBytes area, Bytes volume_key, Bytes area_key);

}  // namespace ingot::signer
