// OVMF's variable store: firmware volume header, authenticated variable store, FTW working space.
// edk2 MdePkg/Include/Pi/PiFirmwareVolume.h, MdeModulePkg/Include/Guid/VariableFormat.h.
#pragma once

#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

inline constexpr Guid efi_global_variable_guid = make_guid("8be4df61-93ca-11d2-aa0d-00e098032b8c");
inline constexpr Guid efi_image_security_database_guid = make_guid("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
inline constexpr Guid efi_secure_boot_enable_guid = make_guid("f0a30bc7-af08-4556-99c4-001009c93a44");
inline constexpr Guid efi_custom_mode_enable_guid = make_guid("c076ec0c-7028-4399-a072-71ee5c448b9f");
inline constexpr Guid efi_vendor_keys_nv_guid = make_guid("9073e4e0-60ec-4b6e-9903-4c223c260f3c");

/// EFI_TIME without the fields that are always zero here.
struct EfiTime {
  std::uint16_t year = 0;
  std::uint8_t month = 0, day = 0, hour = 0, minute = 0, second = 0;
  bool operator==(const EfiTime&) const = default;
};

struct Variable {
  std::string name;  ///< UTF-8
  Guid guid;
  std::uint32_t attributes = 0;
  EfiTime time;  ///< of time-based authenticated variables
  Buffer data;
  bool operator==(const Variable&) const = default;
};

/// More than any flash chip of a variable store: for whoever reads one from a file.
inline constexpr std::uint64_t variable_store_size_cap_bytes = 16u << 20;

/// The live variables, in store order: VAR_ADDED, and old copies (VAR_IN_DELETED_TRANSITION) whose new one is not
/// there. Reads flash as firmware left it; the fault-tolerant write area behind the volume's store is not consulted.
Result<std::vector<Variable>> decode_variable_store(Bytes flash);
/// `empty_flash` (a store as the firmware ships it) with exactly these variables appended; other bytes stay.
/// Errors: not a store, two variables of one name and GUID, bad names, no data, or they do not fit.
Result<Buffer> write_variables(Bytes empty_flash, const std::vector<Variable>& variables);

/// The variables of an enrolled machine: PK, KEK, db, dbx (signature-list bytes), SecureBootEnable = 1,
/// CustomMode = 0, VendorKeysNv = 0 (the keys are the owner's, not the vendor's). What is empty is left out, as
/// firmware does.
struct SecureBootKeys {
  Buffer pk, kek, db, dbx;
  EfiTime time;
};
std::vector<Variable> secure_boot_variables(const SecureBootKeys& keys);

}  // namespace ingot::codec
