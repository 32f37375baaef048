// Volumes whose keys others than the TPM hold, for volumes.cpp. Internal to config/.
#pragma once

#include <string>
#include <string_view>

#include "ingot/builder/config.hpp"

namespace ingot::builder::detail {

/// Its key is made of the shares of its providers, by volume-key. False for a volume whose key the TPM alone holds:
/// systemd-repart and systemd-cryptsetup do all of that one.
bool has_shares(const Volume& volume);
bool any_has_shares(const Profile& profile);
/// A share of a volume's key is the provider's, and not the whole key the TPM's.
bool asks(const Profile& profile, KeyProvider provider);
/// As scripts and headers have it.
std::string_view provider_word(KeyProvider provider);
/// Type of the token that the volume's key slot has, whoever holds the key.
std::string_view key_token_type(const Volume& volume);
/// What is copied into the partition when the volume is made: a LUKS2 header with its token, in the initrd's memory.
std::string header_path(const Volume& volume);
/// Where the key is given to who connects; crypttab(5), "AF_UNIX KEY FILES".
std::string key_socket(const Volume& volume);
/// Scripts, their settings, units, and where a volume asks the key server the one plane over which it is asked. Nothing
/// without such volumes.
void add_volume_keys(ConfigPart& part, const Profile& profile);

/// Lines of a unit that asks the key server.
inline constexpr std::string_view network_dependencies = R"(Wants=systemd-networkd-wait-online.service
After=systemd-networkd-wait-online.service
)";

/// Scripts, in volume_key_scripts.cpp.
extern const std::string_view volume_key;     ///< /usr/lib/ingot/volume-key: puts a key together
extern const std::string_view tpm_provider;   ///< /usr/lib/ingot/key-providers/tpm
extern const std::string_view tang_provider;  ///< /usr/lib/ingot/key-providers/tang
extern const std::string_view file_provider;  ///< /usr/lib/ingot/key-providers/file

}  // namespace ingot::builder::detail
