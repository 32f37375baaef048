// Option ROMs of a machine class, by what its firmware measured of them.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::check {

struct OptionRom {
  /// Authenticode SHA-256 of the driver in the ROM: what firmware extends into PCR 2 (TCG PC Client Platform Firmware
  /// Profile 1.06, "EV_EFI_BOOT_SERVICES_DRIVER"), and what it looks up in db (UEFI 2.10, "UEFI Image Validation").
  Buffer sha256;
  std::vector<std::string> devices;  ///< device paths; what a log says of them is not measured
  bool operator==(const OptionRom&) const = default;
};
/// Every driver that firmware of the class loads from a card, each once, in the order of its events; those of single
/// machines included. Errors: the platform has no SHA-256 digests (unsupported), no option ROM (missing).
Result<std::vector<OptionRom>> option_roms(const Platform& platform);

}  // namespace ingot::check
