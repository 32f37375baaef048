// PINs of tokens and passphrases of keys. Internal to signer/.
#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::signer {

/// What needs a secret to open.
struct PinWanted {
  std::string of;        ///< in plain words: "the PIN of token site", "the passphrase of keys/db.key"
  std::string name;      ///< of the systemd credential: ingot.NAME
  std::string pin_file;  ///< the reference's own pin-source; may be empty
};

/// From the first source that there is (PinSources). Errors: missing when there is none; usage for a file that others
/// can read; malformed for an empty one.
Result<crypto::Secret> get_pin(const PinWanted& wanted);

}  // namespace ingot::signer
