// Encrypted volumes of this node, by what their headers say to everybody.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/codec/luks_header.hpp"

namespace ingot::agent {

/// Each block device that is a LUKS2 volume, a line of tab-separated fields: "DEVICE<TAB>label NAME<TAB>uuid
/// UUID<TAB>mapped NAME<TAB>header JSON". `label` is the partition's, `mapped` the name under which it is open; either
/// may be missing. Errors: io, a device that cannot be read; malformed, a header that is damaged.
Result<std::string> report_volumes();

/// Metadata of the volume on a device. Errors: io; missing, no LUKS2 volume; malformed.
Result<codec::LuksMetadata> read_luks_metadata(const std::string& device);

/// Whether the volume has no recovery key that was encrypted to this certificate (SHA-256 of its DER form).
Result<bool> needs_recovery_key(const std::string& device, const std::string& recipient_sha256);
/// Token (JSON) that keeps a recovery key, encrypted by others, beside the key slot that systemd-cryptenroll(1) made
/// for it. Error (missing): there is no such slot.
Result<std::string> recovery_token(const std::string& device, codec::LuksRecovery recovery);

}  // namespace ingot::agent
