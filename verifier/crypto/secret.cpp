#include "ingot/crypto/secret.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

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

Secret secret_base64(Bytes secret) {
  Buffer text((secret.size() + 2) / 3 * 4 + 1);  // EVP_EncodeBlock() ends with a NUL
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(text.data(), secret.data(), static_cast<int>(secret.size()))));
  return Secret(std::move(text));
}

}  // namespace ingot::crypto
