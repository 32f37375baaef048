// To which states of its node a volume's key is sealed: ingot/measure/volume_binding.hpp.
#pragma once

#include <string>
#include <vector>

#include "tpm_device.hpp"

namespace ingot::agent {

struct BindingOptions {
  std::string device;        ///< of the volume
  std::string key_path;      ///< .pcrpkey
  std::vector<Digest> next;  ///< values of PCR 7 (SHA-256) for which the volume is to open, beside the one of now
};

/// Whether the TPM opens the volume for other states than these, or not for all of them: `ingot seal` made it, who
/// knows no release index; the values have changed; or PCR 7 has become one of them. In the initrd, after
/// admit_release(). Errors: missing, no release index; io; malformed.
Result<bool> needs_binding(TpmDevice& tpm, const BindingOptions& options);

}  // namespace ingot::agent
