#pragma once

#include "ingot/base/bytes.hpp"

namespace ingot::crypto {

/// Cryptographically strong random bytes. Ends the process when the operating system has none to give.
Buffer random_bytes(std::size_t count);

}  // namespace ingot::crypto
