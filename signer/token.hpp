// Keys in PKCS#11 tokens, through OpenSSL. Internal to signer/.
#pragma once

#include <openssl/evp.h>

#include <memory>

#include "ingot/base/result.hpp"
#include "pkcs11_uri.hpp"

namespace ingot::signer {

/// Through OpenSSL's pkcs11 provider where there is one (Debian 13: pkcs11-provider), else through its pkcs11 engine
/// (Debian 12: libengine-pkcs11-openssl). The module is the URI's module-path, else PKCS11_MODULE_PATH, else what these
/// take by themselves (p11-kit's). A token is logged in to once, and stays open until the process ends.
Result<std::shared_ptr<EVP_PKEY>> open_token_key(const Pkcs11Uri& uri);

}  // namespace ingot::signer
