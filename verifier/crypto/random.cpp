#include "ingot/crypto/random.hpp"

#include <openssl/rand.h>

#include <cstdlib>

namespace ingot::crypto {

Buffer random_bytes(std::size_t count) {
  Buffer out(count);
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
  return out;
}

Secret random_secret(std::size_t count) {
  Buffer out(count);
  if (RAND_priv_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
  return Secret(std::move(out));
}

Guid random_guid() {
  auto bytes = random_bytes(16);
  bytes[6] = static_cast<std::uint8_t>(0x40 | (bytes[6] & 0x0F));
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3F));
  return guid_from_big_endian(bytes);
}

}  // namespace ingot::crypto
