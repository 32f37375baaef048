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
/// How systemd's programs seal a volume's key: the policy of measure::volume_policy() and the release index. `pcr_7`:
/// the value to seal to; empty: as it is.
std::string seal_options(const Digest& pcr_7 = {});

/// Whether volume-make makes it in a partition that is reserved for it, instead of systemd-repart with the partition.
bool is_made_in_place(const Volume& volume);
/// Units of the initrd that make such volumes, each behind a space.
std::string making_units(const Profile& profile);
/// What a partition begins with as long as its volume is not there. In the initrd, and in the system: in an initrd,
/// systemd-repart looks for what it copies below /sysroot.
ExtraFile reserved_mark();
inline constexpr std::string_view reserved_mark_path = "/usr/lib/ingot/volume-reserved";
/// Script and units for such volumes. Nothing without any.
void add_in_place(ConfigPart& part, const Profile& profile);

/// As systemd-repart(8), systemd-makefs(8) and fstab(5) have it.
inline std::string_view filesystem_word(const Volume& volume) {
  return volume.filesystem == VolumeFilesystem::xfs ? "xfs" : "ext4";
}

inline constexpr std::string_view policy_key_path = "/.extra/tpm2-pcr-public-key.pem";
/// Where systemd's programs look for it by themselves (systemd-pcrlock(8)).
inline constexpr std::string_view release_policy_path = "/run/systemd/pcrlock.json";

}  // namespace ingot::builder::detail
