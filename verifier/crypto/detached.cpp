#include "ingot/crypto/detached.hpp"

#include <fmt/format.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include <algorithm>
#include <optional>

#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {
namespace {

using SignedHandle = std::unique_ptr<PKCS7, Deleter<PKCS7_free>>;
constexpr std::size_t signature_cap_bytes = 1u << 20;

std::optional<HashAlg> hash_of(int nid) {
  switch (nid) {
    case NID_sha1:
      return HashAlg::sha1;
    case NID_sha256:
      return HashAlg::sha256;
    case NID_sha384:
      return HashAlg::sha384;
    case NID_sha512:
      return HashAlg::sha512;
    default:
      return std::nullopt;
  }
}

/// A message, and its one signer inside it.
struct Decoded {
  SignedHandle message;
  const PKCS7_SIGNER_INFO* signer = nullptr;
  HashAlg digest{};
};

Result<Decoded> decode(Bytes pkcs7) {
  if (pkcs7.size() > signature_cap_bytes) return fail(ErrorCode::limit, "a signature of more than 1 MiB");
  const unsigned char* at = pkcs7.data();
  Decoded out;
  out.message.reset(d2i_PKCS7(nullptr, &at, static_cast<long>(pkcs7.size())));
  if (!out.message) return fail(openssl_error(ErrorCode::malformed, "not a PKCS#7 signature"));
  if (at != pkcs7.data() + pkcs7.size()) return fail(ErrorCode::malformed, "bytes follow the PKCS#7 signature");
  if (!PKCS7_type_is_signed(out.message.get()) || out.message->d.sign == nullptr)
    return fail(ErrorCode::malformed, "PKCS#7, but no SignedData");
  const PKCS7* contents = out.message->d.sign->contents;
  if (contents == nullptr || OBJ_obj2nid(contents->type) != NID_pkcs7_data || contents->d.data != nullptr)
    return fail(ErrorCode::unsupported, "a PKCS#7 signature that is not detached");
  const auto* signers = out.message->d.sign->signer_info;
  if (sk_PKCS7_SIGNER_INFO_num(signers) != 1)
    return fail(ErrorCode::unsupported,
                fmt::format("a signature by {} signers, expected one", sk_PKCS7_SIGNER_INFO_num(signers)));
  out.signer = sk_PKCS7_SIGNER_INFO_value(signers, 0);
  if (sk_X509_ATTRIBUTE_num(out.signer->auth_attr) > 0)
    return fail(ErrorCode::unsupported, "a signature with attributes, which the kernel refuses for modules");
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, out.signer->digest_alg);
  const auto digest = hash_of(OBJ_obj2nid(algorithm));
  if (!digest) return fail(ErrorCode::unsupported, "a signature over a digest that is no SHA");
  out.digest = *digest;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, out.signer->digest_enc_alg);
  const int scheme = OBJ_obj2nid(algorithm);
  if (scheme != NID_rsaEncryption && scheme != NID_ecdsa_with_SHA256 && scheme != NID_ecdsa_with_SHA384 &&
      scheme != NID_ecdsa_with_SHA512)
    return fail(ErrorCode::unsupported, "a signature that is neither RSA (PKCS#1 v1.5) nor ECDSA");
  return out;
}

Bytes contents_of(const ASN1_STRING* text) {
  return {ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string one_line(const X509_NAME* name) {
  const std::unique_ptr<BIO, Deleter<BIO_free_all>> bio(BIO_new(BIO_s_mem()));
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<DetachedSigner> detached_signer(Bytes pkcs7) {
  const auto decoded = TRY(decode(pkcs7));
  const auto* id = decoded.signer->issuer_and_serial;
  const auto value = contents_of(decoded.signer->enc_digest);
  // The value ends the message: one signer, nothing unsigned behind it. Where something is, its place is not known.
  if (value.size() > pkcs7.size() ||
      !std::equal(value.begin(), value.end(), pkcs7.end() - static_cast<long>(value.size())))
    return fail(ErrorCode::unsupported, "a signature with something behind its value");
  return DetachedSigner{decoded.digest, one_line(id->issuer), to_buffer(contents_of(id->serial)),
                        pkcs7.last(value.size())};
}

Result<void> verify_detached(Bytes pkcs7, Bytes content, const Certificate& signer) {
  const auto decoded = TRY(decode(pkcs7));
  const unsigned char* at = signer.der().data();
  const std::unique_ptr<X509, Deleter<X509_free>> certificate(
      d2i_X509(nullptr, &at, static_cast<long>(signer.der().size())));
  if (!certificate) return fail(openssl_error(ErrorCode::crypto, "reading a certificate"));
  const auto* id = decoded.signer->issuer_and_serial;
  if (X509_NAME_cmp(id->issuer, X509_get_issuer_name(certificate.get())) != 0 ||
      ASN1_INTEGER_cmp(id->serial, X509_get0_serialNumber(certificate.get())) != 0)
    return fail(ErrorCode::crypto, fmt::format("signed by {}, number {}, not by \"{}\"", one_line(id->issuer),
                                               to_hex(contents_of(id->serial)), signer.subject()));
  TRY_IN(fmt::format("not signed by \"{}\"", signer.subject()),
         signer.public_key().verify(decoded.digest, content, contents_of(decoded.signer->enc_digest)));
  return {};
}

}  // namespace ingot::crypto
