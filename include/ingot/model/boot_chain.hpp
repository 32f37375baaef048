// What stands between the firmware and the UKI.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// Closed set; text form in base/model.cpp.
enum class BootChain {
  uki,           ///< nothing: firmware starts the UKI itself
  systemd_boot,  ///< systemd-boot, signed with the same key
  shim,          ///< a distribution's shim, signed by Microsoft; the UKI's key is one of the machine's owner (MOK)
};
std::string to_text(BootChain chain);  ///< "uki", "systemd-boot", "shim"
std::optional<BootChain> parse_boot_chain(std::string_view text);

}  // namespace ingot
