// Volumes without their TPM: by the recovery key that the operator's private key gives out. builder/config/volumes.md.
#pragma once

#include <string>

#include "ingot/base/source.hpp"
#include "ingot/crypto/secret.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::signer {

/// The recovery key, as systemd-cryptenroll(1) printed it, out of a CMS message (RFC 5083, RFC 5652). Errors: malformed,
/// no such message; crypto, it is for another key, or was changed; limit.
Result<crypto::Secret> open_recovery_message(Bytes message, const SigningKey& key);

struct RecoveredVolume {
  std::string uuid;
  std::uint64_t size_bytes = 0;  ///< of the file system in it
};
/// Decrypts the whole volume into a new file (0600), in which what was never written stays a hole. Needs no device
/// mapper and writes nothing to the volume. `passphrase` opens one of its key slots. Errors: crypto, it opens none;
/// malformed; unsupported, another cipher than aes-xts-plain64 or with integrity; usage, the file is there already.
Result<RecoveredVolume> decrypt_volume(const ByteSource& volume, const crypto::Secret& passphrase,
                                       const std::string& out_path);
/// Error (crypto) when the passphrase opens no key slot.
Result<void> check_passphrase(const ByteSource& volume, const crypto::Secret& passphrase);

}  // namespace ingot::signer
