// Policies of the kernel's Integrity Policy Enforcement, as the kernel wants them signed.
#include <openssl/pkcs7.h>

#include "ingot/crypto/hash.hpp"
#include "ingot/signer/sign.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {
namespace {
using Pkcs7Handle = std::unique_ptr<PKCS7, crypto::Deleter<PKCS7_free>>;
}  // namespace

Result<Buffer> sign_ipe_policy(std::string_view policy, const SigningKey& key) {
  const auto certificate = TRY(key.certificate());
  const unsigned char* at = certificate.der().data();
  const CertificateHandle x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  // RSA with PKCS#1 v1.5 signs the same text to the same bytes; without attributes there is no signing time in it.
  if (key.kind() != KeyKind::rsa)
    return fail(ErrorCode::crypto, "execution policies need an RSA key", "use an RSA-2048 (or larger) key for db");
  const Pkcs7Handle pkcs7(PKCS7_new());
  PKCS7_SIGNER_INFO* signer = nullptr;
  if (x509 && pkcs7 && PKCS7_set_type(pkcs7.get(), NID_pkcs7_signed) == 1 &&
      PKCS7_content_new(pkcs7.get(), NID_pkcs7_data) == 1 &&
      ASN1_STRING_set(pkcs7->d.sign->contents->d.data, policy.data(), static_cast<int>(policy.size())) == 1)
    signer = PKCS7_add_signature(pkcs7.get(), x509.get(), X509_get0_pubkey(x509.get()), EVP_sha256());
  if (signer == nullptr) return fail(crypto::openssl_error(ErrorCode::crypto, "preparing the policy's signature"));
  const std::string name(policy.substr(0, policy.find('\n')));
  TRY(sign_pkcs7(signer, key, {"execution policy " + name, crypto::sha256(as_bytes(policy))}, as_bytes(policy)));
  unsigned char* der = nullptr;
  const int size = i2d_PKCS7(pkcs7.get(), &der);
  if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding the execution policy's signature"));
  Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace ingot::signer
