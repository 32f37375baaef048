// Policies of the kernel's Integrity Policy Enforcement, as the kernel wants them signed.
#include <openssl/pkcs7.h>

#include "ingot/signer/sign.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {
using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;
using Pkcs7Handle = std::unique_ptr<PKCS7, crypto::Deleter<PKCS7_free>>;
}  // namespace

Result<Buffer> sign_ipe_policy(std::string_view policy, const SigningKey& key) {
  const auto certificate = TRY(key.certificate());
  const unsigned char* at = certificate.der().data();
  const CertificateHandle x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  auto* private_key = key.state().key.get();
  // RSA with PKCS#1 v1.5 signs the same text to the same bytes; without attributes there is no signing time in it.
  if (EVP_PKEY_get_base_id(private_key) != EVP_PKEY_RSA)
    return fail(ErrorCode::crypto, "execution policies need an RSA key", "use an RSA-2048 (or larger) key for db");
  constexpr int flags = PKCS7_BINARY | PKCS7_NOATTR | PKCS7_NOCERTS | PKCS7_PARTIAL;
  const BioHandle text(BIO_new_mem_buf(policy.data(), static_cast<int>(policy.size())));
  const Pkcs7Handle pkcs7(PKCS7_sign(nullptr, nullptr, nullptr, text.get(), flags));
  if (!x509 || !pkcs7 || PKCS7_sign_add_signer(pkcs7.get(), x509.get(), private_key, EVP_sha256(), flags) == nullptr ||
      PKCS7_final(pkcs7.get(), text.get(), flags) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "signing the execution policy"));
  unsigned char* der = nullptr;
  const int size = i2d_PKCS7(pkcs7.get(), &der);
  if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding the execution policy's signature"));
  Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace ingot::signer
