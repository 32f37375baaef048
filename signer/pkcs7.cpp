#include "pkcs7.hpp"

#include <openssl/crypto.h>

namespace ingot::signer {

Result<void> sign_pkcs7(PKCS7_SIGNER_INFO* signer, const SigningKey& key, const SigningPurpose& purpose,
                        Bytes content) {
  Buffer attributes;
  if (signer->auth_attr != nullptr) {
    // RFC 2315, "Message-digesting process": what is signed is a SET OF, not the tag that the attributes are sent with.
    unsigned char* der = nullptr;
    void* set = signer->auth_attr;
    const int size = ASN1_item_i2d(static_cast<ASN1_VALUE*>(set), &der, ASN1_ITEM_rptr(PKCS7_ATTR_SIGN));
    if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding the attributes of a signature"));
    attributes.assign(der, der + size);
    OPENSSL_free(der);
  }
  const auto signature = TRY(key.sign(purpose, HashAlg::sha256, attributes.empty() ? content : Bytes(attributes)));
  if (ASN1_STRING_set(signer->enc_digest, signature.data(), static_cast<int>(signature.size())) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "encoding a signature"));
  return {};
}

}  // namespace ingot::signer
