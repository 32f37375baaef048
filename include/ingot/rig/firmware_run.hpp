// Firmware alone in a machine: what it measures before it looks for something to start.
#pragma once

#include <string>
#include <vector>

#include "ingot/model/digest.hpp"
#include "ingot/rig/rig.hpp"

namespace ingot::rig {

/// One TPM2_PCR_Extend, with the digests of the predicted banks.
struct Extension {
  PcrIndex pcr = 0;
  Digests digests;
  bool operator==(const Extension&) const = default;
};

struct FirmwareRequest {
  std::string firmware;  ///< CODE.fd; empty: Debian's OVMF with Secure Boot
  std::string vars;      ///< VARS.fd; copied, never written to
  MachineShape shape;    ///< http_boot is not looked at: nothing is started
  double timeout_seconds = 60;
};

/// Starts the machine with an empty disk and ends it when the firmware has closed PCR 0 with its separator, after
/// seconds. No program runs in the machine: what is told is the TPM's own log of its commands, text for
/// read_extensions(). Errors: missing (no such file), timeout (PCR 0 was not closed in time).
Result<std::string> run_firmware(const FirmwareRequest& request, builder::Progress& progress);

/// What a run depends on besides its request: the emulator's release, how it runs the machine, and on whose processor
/// when it lends the machine its own. Text for the key of a cache. Error (missing): no QEMU.
Result<std::string> firmware_run_environment();

/// Every TPM2_PCR_Extend in a log that swtpm wrote (--log level=20), in order. A command whose lines are not all there
/// yet, as in a log that is being written, ends the list. Error (malformed): an extend that is none (TPM 2.0 Library,
/// Part 3, "TPM2_PCR_Extend").
Result<std::vector<Extension>> read_extensions(std::string_view tpm_log);

}  // namespace ingot::rig
