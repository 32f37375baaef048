// Signatures of kernel modules, as the kernel's own scripts/sign-file makes them. Linux, Documentation/admin-guide/
// module-signing.rst; CMS: RFC 5652.
#pragma once

#include <string>
#include <vector>

#include "ingot/codec/module_info.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// What to do with a module that has a signature already.
enum class OldSignature {
  refused,   ///< error (usage)
  replaced,  ///< whatever signatures are appended to it are taken away first
};

/// A module, signed: what it is, and its bytes.
struct SignedModule {
  codec::ModuleInfo info;
  Buffer bytes;
};

/// PKCS#7 SignedData over `content`: detached, SHA-256, no attributes, no certificates, the signer told by issuer and
/// serial number. The same bytes as `sign-file sha256`. `what` is its name in the signature log. Errors (crypto): a key
/// that is not RSA; missing, a key without certificate.
Result<Buffer> module_signature(Bytes content, const SigningKey& key, std::string_view what);

/// Signs a module, compressed or not; a compressed one is unpacked, signed and compressed again the same way, since the
/// kernel looks at the bytes that were unpacked. Refuses what is no kernel module. The same file and key give the same
/// bytes. Errors: as module_signature(), codec::decompress_module() and codec::decode_module_info() have.
Result<SignedModule> sign_module(Bytes file, const SigningKey& key, OldSignature old);

/// Files, signed on all cores; in their order. The first error, with the file's path, when one of them cannot be
/// signed.
Result<std::vector<SignedModule>> sign_modules(const std::vector<std::string>& paths, const SigningKey& key,
                                               OldSignature old);

}  // namespace ingot::signer
