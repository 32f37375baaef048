// The QEMU command line of one boot. Fixed and ordered: PCR 1 depends on it. Pure but for INGOT_RIG_ACCEL.
#pragma once

#include <string>
#include <vector>

#include "flash.hpp"
#include "ingot/rig/rig.hpp"

namespace ingot::rig {

struct MachineFiles {
  Flash flash;
  std::string disk;
  bool disk_is_overlay = false;  ///< qcow2 that keeps changes; otherwise raw, changes thrown away
  std::string second_disk;       ///< raw; empty: none
  unsigned http_port = 0;        ///< of the server on loopback that hands out uki.efi; 0: start from the disk
  std::string tpm_socket;
  std::string evidence_socket;
  std::string serial;
};

/// How the machine is run: emulated, or by the host's processor where INGOT_RIG_ACCEL says so.
std::vector<std::string> accelerator();

std::vector<std::string> machine_command(const MachineShape& shape, const std::vector<std::string>& smbios_credentials,
                                         const MachineFiles& files);

}  // namespace ingot::rig
