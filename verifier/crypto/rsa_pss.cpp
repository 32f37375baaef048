#include "ingot/crypto/rsa_pss.hpp"

#include <openssl/rsa.h>

#include "key_state.hpp"

namespace ingot::crypto {

Result<void> verify_rsa_pss(const PublicKey& key, HashAlg alg, Bytes message, Bytes signature) {
  EVP_PKEY* handle = key.state().key.get();
  if (EVP_PKEY_get_base_id(handle) != EVP_PKEY_RSA) return fail(ErrorCode::crypto, "RSAPSS needs an RSA key");
  const EVP_MD* digest = EVP_get_digestbyname(to_text(alg) == "sm3_256" ? "sm3" : to_text(alg).c_str());
  const std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;  // owned by `context`
  if (digest == nullptr || EVP_DigestVerifyInit(context.get(), &parameters, digest, nullptr, handle) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_AUTO) != 1)
    return fail(openssl_error(ErrorCode::crypto, "this key cannot verify RSAPSS signatures"));
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "the signature is not valid"));
  return {};
}

}  // namespace ingot::crypto
