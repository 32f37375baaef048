#pragma once

#include <openssl/evp.h>

#include <memory>

#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {

struct PublicKey::State {
  std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>> key;
};

}  // namespace ingot::crypto
