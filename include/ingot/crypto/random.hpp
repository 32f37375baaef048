#pragma once

#include "ingot/base/guid.hpp"
#include "ingot/crypto/secret.hpp"

namespace ingot::crypto {

/// Cryptographically strong random bytes. Ends the process when the operating system has none to give.
Buffer random_bytes(std::size_t count);

/// The same from a generator of its own, which gives nothing to the public.
Secret random_secret(std::size_t count);

/// A UUID that nobody else has (RFC 9562, "UUID Version 4").
Guid random_guid();

}  // namespace ingot::crypto
