// Encrypted volumes that are made before their node exists.
#pragma once

#include <string>

#include "ingot/codec/tpm.hpp"
#include "ingot/measure/volume_policy.hpp"

namespace ingot::signer {

/// All that lies before a volume's data: 1 MiB, two copies of the metadata and room for three key slots.
inline constexpr std::uint64_t volume_header_bytes = 1u << 20;

/// Writes a LUKS2 header to `out_path`, a new file of volume_header_bytes that only its owner reads: AES-256-XTS with a
/// random volume key, 4096-byte sectors, one key slot, and a systemd-tpm2 token that opens it on the machine of `srk`
/// under `policy`. Copied to the start of a partition it makes that an empty volume. No passphrase, no other copy of
/// the key: who loses header or TPM has lost the volume. The header's UUID.
/// Errors: as seal_for(); usage, when the file exists; io.
Result<std::string> make_volume_header(const codec::TpmPublic& srk, const measure::VolumePolicy& policy,
                                       const std::string& out_path);

}  // namespace ingot::signer
