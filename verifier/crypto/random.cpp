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

}  // namespace ingot::crypto
