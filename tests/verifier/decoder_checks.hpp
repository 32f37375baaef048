// What every decoder must stand: no prefix of an input is a whole input, and damage in any single byte is seen or
// harmless.
#pragma once

#include <catch2/catch.hpp>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::test {

/// Each proper prefix of `whole` is an error, which says at which byte.
template <typename Decode>
void rejects_every_prefix(Bytes whole, Decode decode) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = decode(whole.first(size));
    if (decoded) FAIL("a prefix of " << size << " of " << whole.size() << " bytes was taken");
    if constexpr (requires { decoded.error().offset_bytes; }) {
      const auto& error = decoded.error();
      if (error.code == ErrorCode::malformed && (!error.offset_bytes || *error.offset_bytes > size))
        FAIL("a prefix of " << size << " bytes: " << describe(error) << ": no place in it");
    }
  }
  CHECK(decode(whole));
}

/// Each single byte of [first, last), every bit turned, makes another value or an error; never the same value
/// unnoticed.
template <typename Decode>
void notices_every_byte(Bytes whole, std::size_t first, std::size_t last, Decode decode) {
  const auto before = decode(whole);
  REQUIRE(before);
  Buffer changed = to_buffer(whole);
  for (std::size_t at = first; at < last; ++at) {
    changed[at] ^= 0xFF;
    const auto after = decode(changed);
    if (after && *after == *before) FAIL("byte " << at << " was changed and nobody noticed");
    changed[at] ^= 0xFF;
  }
}

}  // namespace ingot::test
