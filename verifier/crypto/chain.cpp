#include "ingot/crypto/chain.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {
namespace {

using X509Handle = std::unique_ptr<X509, Deleter<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

X509Handle handle_of(const Certificate& certificate) {
  const unsigned char* at = certificate.der().data();
  return X509Handle(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
}

std::string subject_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  const auto parsed = Certificate::from_der(Bytes(der, static_cast<std::size_t>(std::max(size, 0))));
  OPENSSL_free(der);
  return parsed ? parsed->subject() : "";
}

/// The path's anchor; or the number of OpenSSL's verification error.
tl::expected<std::string, int> find_path(X509* leaf, const ChainQuestion& question, unsigned long flags) {
  const Store store(X509_STORE_new());
  for (const auto& anchor : question.anchors) X509_STORE_add_cert(store.get(), handle_of(anchor).get());
  const Stack intermediates(sk_X509_new_null());
  for (const auto& one : question.intermediates) sk_X509_push(intermediates.get(), handle_of(one).release());
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf, intermediates.get());
  auto* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, flags | X509_V_FLAG_PARTIAL_CHAIN);
  // A time that was set is checked even with X509_V_FLAG_NO_CHECK_TIME.
  if ((flags & X509_V_FLAG_NO_CHECK_TIME) == 0) X509_VERIFY_PARAM_set_time(parameters, question.now);
  if (X509_verify_cert(context.get()) != 1) return tl::unexpected<int>(X509_STORE_CTX_get_error(context.get()));
  const auto* chain = X509_STORE_CTX_get0_chain(context.get());
  return subject_of(sk_X509_value(chain, sk_X509_num(chain) - 1));
}

}  // namespace

Result<ChainAnswer> verify_chain(const Certificate& leaf, const ChainQuestion& question) {
  const auto handle = handle_of(leaf);
  const auto strict = find_path(handle.get(), question, 0);
  if (strict) return ChainAnswer{*strict, false};
  const bool only_time =
      strict.error() == X509_V_ERR_CERT_HAS_EXPIRED || strict.error() == X509_V_ERR_CERT_NOT_YET_VALID;
  if (only_time)
    if (const auto timeless = find_path(handle.get(), question, X509_V_FLAG_NO_CHECK_TIME))
      return ChainAnswer{*timeless, true};
  return fail(ErrorCode::crypto, X509_verify_cert_error_string(strict.error()));
}

bool allows_usage(const Certificate& certificate, const char* oid) {
  const auto handle = handle_of(certificate);
  const std::unique_ptr<EXTENDED_KEY_USAGE, Deleter<EXTENDED_KEY_USAGE_free>> usages(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(handle.get(), NID_ext_key_usage, nullptr, nullptr)));
  if (!usages) return true;
  const std::unique_ptr<ASN1_OBJECT, Deleter<ASN1_OBJECT_free>> wanted(OBJ_txt2obj(oid, 1));
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i)
    if (OBJ_cmp(sk_ASN1_OBJECT_value(usages.get(), i), wanted.get()) == 0) return true;
  return false;
}

bool can_receive(const Certificate& certificate) {
  const auto handle = handle_of(certificate);
  const auto usage = X509_get_key_usage(handle.get());  // UINT32_MAX without the extension
  const auto* key = X509_get0_pubkey(handle.get());
  return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && (usage & KU_KEY_ENCIPHERMENT) != 0;
}

bool is_authority(const Certificate& certificate) {
  constexpr int by_basic_constraints = 1;  // X509_check_ca(3); the other answers are of certificates before X.509 v3
  return X509_check_ca(handle_of(certificate).get()) == by_basic_constraints;
}

std::optional<std::size_t> der_element_size(Bytes bytes) {
  const unsigned char* at = bytes.data();
  long length = 0;
  int tag = 0, tag_class = 0;
  constexpr int failed = 0x80, indefinite_length = 0x01;
  const int result = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(bytes.size()));
  ERR_clear_error();
  if ((result & failed) != 0 || (result & indefinite_length) != 0) return std::nullopt;
  return static_cast<std::size_t>(at - bytes.data()) + static_cast<std::size_t>(length);
}

}  // namespace ingot::crypto
