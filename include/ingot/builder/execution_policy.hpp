// What may execute on a node: the kernel's Integrity Policy Enforcement, bound to the image's verity root.
#pragma once

#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"
#include "ingot/builder/progress.hpp"

namespace ingot::builder {

/// The policy's text: programs, kernel modules, firmware and IMA policies come from the initrd or from the dm-verity
/// device with this root hash, nothing else is let in. `version` is the profile's; IPE orders policies by it.
/// Linux, Documentation/admin-guide/LSM/ipe.rst, "IPE Policy".
std::string execution_policy(std::string_view root_hash_hex, std::uint64_t version);

/// A cpio to append to the initrd: the signed policy, and units that load and activate it before the root is entered.
/// A kernel that does not take it ends the boot.
Result<void> write_execution_initrd(Bytes signed_policy, const std::string& out_path, Progress& progress);

}  // namespace ingot::builder
