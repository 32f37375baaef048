// Signatures appended to kernel modules. Linux, include/linux/module_signature.h, "struct module_signature";
// Documentation/admin-guide/module-signing.rst.
#pragma once

#include <optional>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

/// More than any signature has: four of RSA-8192 with their names.
inline constexpr std::size_t module_signature_cap_bytes = 16u << 10;

/// A module's bytes, taken apart. Both are views of what was decoded.
struct SignedModuleParts {
  Bytes content;  ///< what is signed; may itself end in an older signature, which the kernel does not look at
  Bytes pkcs7;
};
/// Nothing for a file that does not end in the kernel's marker. `file` is not compressed. Errors: malformed, sizes that
/// do not fit, fields that the kernel wants to be 0; unsupported, no PKCS#7; limit.
Result<std::optional<SignedModuleParts>> decode_module_signature(Bytes file);

/// The file with the signature behind it. Precondition: `pkcs7` is no longer than module_signature_cap_bytes.
Buffer append_module_signature(Bytes content, Bytes pkcs7);

/// The module alone, without whatever signatures are appended to it, one behind the other. Errors: as above.
Result<Bytes> without_module_signatures(Bytes file);

}  // namespace ingot::codec
