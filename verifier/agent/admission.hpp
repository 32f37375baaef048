// Whether this release may open the volumes of this node: ingot/measure/revocation.hpp.
#pragma once

#include <string>
#include <vector>

#include "tpm_device.hpp"

namespace ingot::agent {

struct AdmissionOptions {
  std::string signature_path;        ///< .pcrsig
  std::string key_path;              ///< .pcrpkey
  std::string policy_path;           ///< pcrlock.json that systemd's programs read
  std::vector<std::string> devices;  ///< of volumes; while none is there, an index of other keys gives way
};

/// In the initrd, before volumes are made or opened: raises the counter to this release's generation, writes the
/// release index, and says so to systemd. Doing it again is nothing. Errors: crypto, this release was revoked, its
/// signature does not hold, or the node's index belongs to other keys; missing; io; malformed.
Result<void> admit_release(TpmDevice& tpm, const AdmissionOptions& options);

/// For the node's report, "counter N" and "index HEX" (TPMS_NV_PUBLIC), each on a line; what is not defined is missing.
Result<std::string> report_revocation();

}  // namespace ingot::agent
