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

/// Units of the initrd that let the release open volumes of the TPM, and keep revoked ones from it.
void add_release(ConfigPart& part, const Profile& profile);
/// Units that must be over before the recovery keys are looked for and a volume is opened, each behind a space.
std::string release_units(const Profile& profile);
/// How systemd's programs seal a volume's key: the policy of measure::volume_policy() and the release index.
std::string seal_options();

inline constexpr std::string_view policy_key_path = "/.extra/tpm2-pcr-public-key.pem";
/// Where systemd's programs look for it by themselves (systemd-pcrlock(8)).
inline constexpr std::string_view release_policy_path = "/run/systemd/pcrlock.json";

}  // namespace ingot::builder::detail
