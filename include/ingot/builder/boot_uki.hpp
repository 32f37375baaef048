// From a base tree to a UKI as nodes get it: kernel and stub found, PCR policy signed, whole file signed.
#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// Stub, newest kernel (by version) and its release, os-release of a base tree; initrd and command line are left open.
/// `stub` is a path in the tree; empty: where systemd-boot-efi puts it. Error (missing) names what the tree lacks.
Result<UkiParts> boot_parts(const Tree& base, const std::string& stub = {});

/// One more cpio behind the others: the kernel unpacks them all (Linux, Documentation/driver-api/early-userspace/
/// buffer-format.rst; archives start at multiples of 4 bytes).
Result<SharedSource> append_archive(const SharedSource& initrd, const SharedSource& archive);

enum class PcrPolicy {
  none,               ///< no .pcrpkey, no .pcrsig: nothing can be unsealed by what boots this
  signed_by_pcr_key,  ///< the folder's pcr key signs PCR 11 as it is in the initrd (phase "enter-initrd")
};

/// Writes the UKI that `parts` describe, signed with the folder's db key, to `out_path`; whole or not at all. What
/// `parts` say of the policy's key and signature is replaced. Errors: write_uki()'s, a missing key, a stub whose
/// measurements nobody has checked.
Result<void> make_signed_uki(UkiParts parts, PcrPolicy policy, const signer::KeyFolder& keys,
                             const std::string& out_path);

}  // namespace ingot::builder
