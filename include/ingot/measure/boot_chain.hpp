// What a boot measures of the programs between the firmware and the UKI: systemd-boot, or shim.
// builder/image/chains.md says how each chain lies on the EFI System Partition, and why.
#pragma once

#include <optional>

#include "ingot/base/guid.hpp"
#include "ingot/base/source.hpp"
#include "ingot/model/boot_chain.hpp"

namespace ingot::measure {

/// shim's own variables and authorities.
inline constexpr Guid shim_lock_guid = make_guid("605dab50-e046-4300-abb6-3dd810dd8b23");

/// Where a chain's files lie on the EFI System Partition (FAT: without regard to case).
inline constexpr std::string_view first_stage_path = "EFI/BOOT/BOOTX64.EFI";
inline constexpr std::string_view second_stage_path = "EFI/BOOT/grubx64.efi";  ///< what shim starts
inline constexpr std::string_view loader_conf_path = "loader/loader.conf";     ///< what systemd-boot reads
inline constexpr std::string_view uki_folder = "EFI/Linux/";                   ///< where systemd-boot looks for UKIs

/// Which chain a file begins that lies where firmware looks (EFI/BOOT/BOOTX64.EFI), by what it says of itself. Errors:
/// malformed, not a PE file; unsupported, none of the three.
Result<BootChain> boot_chain_of(const ByteSource& file);

/// "shim 16.1", "systemd-boot 257": what to call it, with the version that the prediction depends on. Errors:
/// unsupported for a UKI, and for a version whose measurements nobody has checked.
Result<std::string> describe_first_stage(const ByteSource& file);

/// A chain's beginning, as it lies on the ESP and in the machine's variables.
struct FirstStage {
  const ByteSource* file = nullptr;        ///< EFI/BOOT/BOOTX64.EFI; null: firmware starts the UKI itself
  std::optional<Buffer> loader_conf = {};  ///< systemd-boot: loader/loader.conf; nothing: there is no such file
  Buffer mok_list = {};                    ///< shim: the variable MokList; empty: there is none
};

/// The entry of db under which firmware starts this file, as signature lists of its own: all that a machine needs in db
/// to start it. Error (crypto): there is none, or the file is not signed.
Result<Buffer> db_entry_for(const ByteSource& file, Bytes db);

/// Size of the largest loader.conf that is looked at.
inline constexpr std::uint64_t loader_conf_cap_bytes = 64u << 10;

}  // namespace ingot::measure
