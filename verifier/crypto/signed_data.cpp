#include "ingot/crypto/signed_data.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {
namespace {

using SignedHandle = std::unique_ptr<PKCS7, Deleter<PKCS7_free>>;
constexpr std::size_t size_cap_bytes = 1u << 20;

Result<SignedHandle> decode(Bytes signed_data) {
  if (signed_data.size() > size_cap_bytes) return fail(ErrorCode::limit, "a signature of more than 1 MiB");
  const auto size = static_cast<long>(signed_data.size());
  const unsigned char* at = signed_data.data();
  SignedHandle handle(d2i_PKCS7(nullptr, &at, size));
  if (handle && PKCS7_type_is_signed(handle.get()) && handle->d.sign != nullptr) return handle;
  ERR_clear_error();
  // OpenSSL wants the ContentInfo that UEFI leaves out.
  at = signed_data.data();
  std::unique_ptr<PKCS7_SIGNED, Deleter<PKCS7_SIGNED_free>> bare(d2i_PKCS7_SIGNED(nullptr, &at, size));
  if (!bare) return fail(openssl_error(ErrorCode::malformed, "not a PKCS#7 SignedData"));
  handle.reset(PKCS7_new());
  if (!handle) return fail(openssl_error(ErrorCode::crypto, "preparing to verify a signature"));
  handle->type = OBJ_nid2obj(NID_pkcs7_signed);
  handle->d.sign = bare.release();
  return handle;
}

bool is_sha256(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* oid = nullptr;
  X509_ALGOR_get0(&oid, nullptr, nullptr, algorithm);
  return OBJ_obj2nid(oid) == NID_sha256;
}

Result<void> check_digests(PKCS7* handle) {
  const auto* signers = PKCS7_get_signer_info(handle);
  if (signers == nullptr || sk_PKCS7_SIGNER_INFO_num(signers) == 0)
    return fail(ErrorCode::crypto, "a SignedData that nobody has signed");
  for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(signers); ++i)
    if (!is_sha256(sk_PKCS7_SIGNER_INFO_value(signers, i)->digest_alg))
      return fail(ErrorCode::unsupported, "a signature whose digest is not SHA-256, which firmware need not know");
  return {};
}

}  // namespace

Result<void> verify_signed_data(Bytes signed_data, Bytes message, const Certificate& anchor) {
  const auto handle = TRY(decode(signed_data));
  TRY(check_digests(handle.get()));
  // OpenSSL would take the message from inside and never look at ours.
  if (PKCS7_get_detached(handle.get()) != 1)
    return fail(ErrorCode::malformed, "a signature with content inside, where only a detached one belongs");
  const unsigned char* at = anchor.der().data();
  const std::unique_ptr<X509, Deleter<X509_free>> certificate(
      d2i_X509(nullptr, &at, static_cast<long>(anchor.der().size())));
  const std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<BIO, Deleter<BIO_free_all>> in(
      BIO_new_mem_buf(message.data(), static_cast<int>(message.size())));
  if (!certificate || !store || !in || X509_STORE_add_cert(store.get(), certificate.get()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "preparing to verify a signature"));
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509_STORE_set_purpose(store.get(), X509_PURPOSE_ANY);
  if (PKCS7_verify(handle.get(), nullptr, store.get(), in.get(), nullptr, PKCS7_BINARY) != 1)
    return fail(openssl_error(ErrorCode::crypto, fmt::format("not signed under \"{}\"", anchor.subject())));
  return {};
}

}  // namespace ingot::crypto
