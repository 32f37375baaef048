// Encrypted volumes that are made before their node exists.
#pragma once

#include <memory>
#include <string>

#include "ingot/base/output.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/measure/volume_policy.hpp"

namespace ingot::signer {

/// All that lies before a volume's data: 1 MiB, two copies of the metadata and room for three key slots.
inline constexpr std::uint64_t volume_header_bytes = 1u << 20;

struct VolumeHeader {
  std::string uuid;
  Buffer start;  ///< of the volume; from there to volume_header_bytes are zeroes
};

class LuksModel;

/// Makes LUKS2 headers: AES-256-XTS with a random volume key, 4096-byte sectors, one key slot, and a systemd-tpm2 token
/// that opens it on one machine under the policy. Copied to the start of a partition a header makes that an empty
/// volume. No passphrase, no other copy of the key: who loses header or TPM has lost the volume.
class VolumeSealer {
 public:
  /// Errors: io, and unsupported where libcryptsetup is not one that is known.
  static Result<VolumeSealer> under(measure::VolumePolicy policy);
  VolumeSealer(VolumeSealer&&) noexcept;
  VolumeSealer& operator=(VolumeSealer&&) noexcept;
  ~VolumeSealer();
  /// For the machine of `srk`. Errors: as seal_for().
  [[nodiscard]] Result<VolumeHeader> header_for(const codec::TpmPublic& srk) const;

 private:
  VolumeSealer(measure::VolumePolicy policy, LuksModel model);
  measure::VolumePolicy policy_;
  std::unique_ptr<const LuksModel> model_;
};

/// All of it.
Buffer header_bytes(const VolumeHeader& header);

/// The header as a file of volume_header_bytes that only its owner reads; not there before it is committed. Error: io.
Result<OutputFile> header_file(const VolumeHeader& header, const std::string& path);

}  // namespace ingot::signer
