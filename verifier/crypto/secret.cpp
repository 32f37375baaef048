#include "ingot/crypto/secret.hpp"

#include <openssl/crypto.h>

namespace ingot::crypto {

Secret::~Secret() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Secret concatenate(std::initializer_list<Bytes> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size();
  Buffer whole;
  whole.reserve(size);
  for (const auto part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return Secret(std::move(whole));
}

}  // namespace ingot::crypto
