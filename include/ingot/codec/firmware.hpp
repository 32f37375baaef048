// UEFI firmware files as far as their measurements and needs can be told from the file: PI firmware volumes, LZMA
// sections. UEFI PI 1.8, volume 3, "Firmware Storage Code Definitions".
#pragma once

#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::codec {

struct FirmwareVolume {
  std::optional<Guid> name;  ///< FvNameGuid of the extended header
  Buffer bytes;              ///< the volume, as it lies in memory after decompression
  bool compressed = false;   ///< it came out of a compressed section
  std::vector<Guid> files;   ///< FFS file names, in order
};

inline constexpr std::uint64_t firmware_size_cap_bytes = 64u << 20;

/// Every firmware volume of a flash image, those inside LZMA sections after the one that holds them.
/// Errors: no volume at all, sizes that do not fit, more than 64 MiB decompressed.
Result<std::vector<FirmwareVolume>> decode_firmware(Bytes flash);

/// The volume with OVMF's DXE drivers (FvNameGuid 7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1), measured unchanged into PCR 0;
/// null when there is none.
const FirmwareVolume* find_dxe_volume(const std::vector<FirmwareVolume>& volumes);

/// The UCS-2 text of a volume whose digest, NUL included, this is: how firmware measures its version
/// (EV_S_CRTM_VERSION). Nothing when no text is.
std::optional<std::string> find_measured_text(const std::vector<FirmwareVolume>& volumes, const Digests& digests);

/// True when the firmware carries the SMM core: its variable driver then needs a machine with SMM and protected flash.
bool requires_smm(const std::vector<FirmwareVolume>& volumes);

}  // namespace ingot::codec
