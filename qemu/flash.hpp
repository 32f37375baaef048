// Firmware and variables in the form that a machine's two flash chips take.
#pragma once

#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::rig {

/// Debian's OVMF with Secure Boot, 4 MiB layout.
inline constexpr const char* default_firmware = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";

struct Flash {
  std::string code;  ///< file with the code alone
  std::string vars;  ///< the machine's own copy, which it may write to
  bool smm = false;  ///< the firmware keeps its variables behind SMM
};

/// Looks into `firmware` (CODE.fd, or one file with variables in front), and puts a copy of `vars` to `vars_copy` in
/// the layout that this firmware is linked for: a store of another size is written anew with the same variables. A
/// `vars_copy` that is already there is a node's own and stays as it is. `run` receives what has to be split off.
/// Errors: not firmware; a layout that OVMF does not have; a node whose variables belong to another layout.
Result<Flash> prepare_flash(const std::string& firmware, const std::string& vars, const std::string& vars_copy,
                            const std::string& run);

/// An empty store as OvmfPkg's VarStore.fdf.inc lays it out for `size_bytes`: 128 KiB (2 MiB flash) or 528 KiB (4 MiB
/// flash).
Result<Buffer> empty_variable_store(std::uint64_t size_bytes);

}  // namespace ingot::rig
