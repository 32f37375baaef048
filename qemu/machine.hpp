// The QEMU command line of one boot. Fixed and ordered: PCR 1 depends on it.
#pragma once

#include <string>
#include <vector>

#include "ingot/rig/rig.hpp"

namespace ingot::rig {

/// Debian's OVMF with Secure Boot, 4 MiB layout.
inline constexpr const char* default_firmware = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";

struct MachineFiles {
  std::string firmware;
  std::string vars;         ///< a copy that the machine may write to
  std::string disk;
  bool disk_is_overlay = false;  ///< qcow2 that keeps changes; otherwise raw, changes thrown away
  std::string second_disk;  ///< raw; empty: none
  std::string tpm_socket;
  std::string evidence_socket;
  std::string serial;
};

/// Errors: firmware that is none; a variable store that does not belong to its layout.
Result<std::vector<std::string>> machine_command(const BootRequest& request, const MachineFiles& files);

}  // namespace ingot::rig
