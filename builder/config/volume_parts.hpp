// What the renderers of volumes share. Internal to config/.
#pragma once

#include "ingot/builder/config.hpp"

namespace ingot::builder::detail {

/// SHA-256 of the DER form of the certificate that recovery keys are encrypted to, hexadecimal. Error (internal):
/// complete_recovery() was not called.
Result<std::string> recovery_recipient(const Profile& profile);
/// Units of the initrd that make a recovery key where a volume has none.
Result<void> add_recovery(ConfigPart& part, const Profile& profile);
/// Units that must be over before a volume is opened, each behind a space: opening closes PCR 15.
std::string recovery_units(const Profile& profile);

}  // namespace ingot::builder::detail
