// Writing the signature log. Internal to signer/.
#pragma once

#include <string>

#include "ingot/codec/signature_log.hpp"

namespace ingot::signer {

/// Where signatures by a key at `reference` are logged; see SigningKey. Error (missing) when the environment names no
/// home for a key that has no folder.
Result<std::string> signature_log_path(const std::string& reference);

/// Appends an entry with time, user, host and chain filled in; on the disk when it returns. One process writes at a
/// time, and one thread of it for all that wait. Errors (malformed, io): without an entry there is no signature.
Result<void> log_signature(const std::string& path, codec::SignatureEntry entry);

}  // namespace ingot::signer
