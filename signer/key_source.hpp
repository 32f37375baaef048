// From a reference to a private key. Internal to signer/.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "ingot/base/result.hpp"

namespace ingot::signer {

struct OpenedKey {
  std::shared_ptr<EVP_PKEY> key;
  std::string place;  ///< in plain words
  bool in_token = false;
};
/// See SigningKey::load().
Result<OpenedKey> open_key(const std::string& reference);

}  // namespace ingot::signer
