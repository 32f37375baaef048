#include "ingot/crypto/authenticode.hpp"

#include <fmt/format.h>
#include <openssl/pkcs7.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "ingot/crypto/openssl.hpp"

namespace ingot::crypto {
namespace {

using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using SignedHandle = std::unique_ptr<PKCS7, Deleter<PKCS7_free>>;
constexpr std::size_t signature_cap_bytes = 1u << 20;

Result<SignedHandle> decode(Bytes pkcs7) {
  if (pkcs7.size() > signature_cap_bytes) return fail(ErrorCode::limit, "a signature of more than 1 MiB");
  const unsigned char* at = pkcs7.data();
  // Bytes may follow: the WIN_CERTIFICATE that holds the signature is padded to 8.
  SignedHandle handle(d2i_PKCS7(nullptr, &at, static_cast<long>(pkcs7.size())));
  if (!handle) return fail(openssl_error(ErrorCode::malformed, "not a PKCS#7 signature"));
  if (!PKCS7_type_is_signed(handle.get())) return fail(ErrorCode::malformed, "PKCS#7, but no SignedData");
  return handle;
}

/// One DER element: tag, contents; `rest` is what follows it.
struct Element {
  std::uint8_t tag = 0;
  Bytes contents, rest;
};
Result<Element> read_element(Bytes der) {
  const unsigned char* at = der.data();
  long length = 0;
  int tag = 0, tag_class = 0;
  const int form = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(der.size()));
  if ((form & 0x80) != 0 || form == 0x21)  // an error, or the indefinite length that DER forbids
    return fail(openssl_error(ErrorCode::malformed, "the signature's content is not DER"));
  const auto header = static_cast<std::size_t>(at - der.data());
  const auto size = static_cast<std::size_t>(length);
  return Element{der[0], der.subspan(header, size), der.subspan(header + size)};
}
constexpr std::uint8_t sequence = 0x30;
constexpr std::uint8_t octet_string = 0x04;

Result<Bytes> contents_of(const Element& element, std::uint8_t tag) {
  if (element.tag != tag)
    return fail(ErrorCode::malformed,
                fmt::format("tag 0x{:02x} in the signature's content where 0x{:02x} belongs", element.tag, tag));
  return element.contents;
}

/// SpcIndirectDataContent, with its SEQUENCE header. A view into `handle`.
Result<Bytes> indirect_data(const PKCS7* handle) {
  // 1.3.6.1.4.1.311.2.1.4, SPC_INDIRECT_DATA_OBJID
  constexpr std::uint8_t spc_indirect_data[] = {0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04};
  const PKCS7* contents = handle->d.sign == nullptr ? nullptr : handle->d.sign->contents;
  const ASN1_OBJECT* type = contents == nullptr ? nullptr : contents->type;
  const bool right_type =
      type != nullptr && OBJ_length(type) == sizeof(spc_indirect_data) &&
      std::equal(OBJ_get0_data(type), OBJ_get0_data(type) + sizeof(spc_indirect_data), spc_indirect_data);
  if (!right_type || contents->d.other == nullptr || contents->d.other->type != V_ASN1_SEQUENCE)
    return fail(ErrorCode::malformed, "a PKCS#7 signature, but not one over a PE image");
  const ASN1_STRING* data = contents->d.other->value.sequence;
  return Bytes(ASN1_STRING_get0_data(data), static_cast<std::size_t>(ASN1_STRING_length(data)));
}

// RFC 5754, "Message Digest Algorithms".
std::optional<HashAlg> hash_of(Bytes oid) {
  constexpr std::uint8_t nist_hashes[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02};
  if (oid.size() != 9 || !std::equal(std::begin(nist_hashes), std::end(nist_hashes), oid.begin())) return std::nullopt;
  switch (oid[8]) {
    case 1:
      return HashAlg::sha256;
    case 2:
      return HashAlg::sha384;
    case 3:
      return HashAlg::sha512;
  }
  return std::nullopt;
}

// SpcIndirectDataContent ::= SEQUENCE { data, messageDigest DigestInfo }
// DigestInfo ::= SEQUENCE { digestAlgorithm SEQUENCE { OID, ... }, digest OCTET STRING }
Result<SignedImageDigest> image_digest_of(const PKCS7* handle) {
  const Bytes outer = TRY(contents_of(TRY(read_element(TRY(indirect_data(handle)))), sequence));
  const auto data = TRY(read_element(outer));
  const Bytes info = TRY(contents_of(TRY(read_element(data.rest)), sequence));
  const auto algorithm = TRY(read_element(info));
  const auto oid = TRY(read_element(TRY(contents_of(algorithm, sequence))));
  const auto alg = hash_of(oid.contents);
  if (!alg) return fail(ErrorCode::unsupported, "the image digest is not SHA-256, SHA-384 or SHA-512");
  const Bytes digest = TRY(contents_of(TRY(read_element(algorithm.rest)), octet_string));
  return SignedImageDigest{*alg, to_buffer(digest)};
}

std::string text_of(const X509_NAME* name) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string hex_of(const ASN1_INTEGER* number) {
  return to_hex(Bytes(ASN1_STRING_get0_data(number), static_cast<std::size_t>(ASN1_STRING_length(number))));
}

Result<Certificate> certificate_of(const X509* x509) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(x509, &der);
  if (size <= 0) return fail(openssl_error(ErrorCode::malformed, "encoding a certificate of a signature"));
  const Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return Certificate::from_der(bytes);
}

std::string key_text(const X509* x509) {
  const EVP_PKEY* key = X509_get0_pubkey(x509);
  if (key == nullptr) return {};
  const char* kind = EVP_PKEY_get0_type_name(key);
  return fmt::format("{}-{}", kind == nullptr ? "unknown" : kind, EVP_PKEY_get_bits(key));
}

/// PKCS #9's signingTime (RFC 2985, "Attribute types for use in PKCS #7 data").
Result<std::optional<std::int64_t>> signing_time_of(const PKCS7_SIGNER_INFO* signer) {
  const ASN1_TYPE* value = PKCS7_get_signed_attribute(signer, NID_pkcs9_signingTime);
  if (value == nullptr) return std::nullopt;
  std::tm parts{};
  if ((value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME) ||
      ASN1_TIME_to_tm(value->value.asn1_string, &parts) != 1)
    return fail(openssl_error(ErrorCode::malformed, "the signature's signing time is no time"));
  return std::optional<std::int64_t>(timegm(&parts));
}

}  // namespace

Result<SignedImageDigest> signed_image_digest(Bytes pkcs7) { return image_digest_of(TRY(decode(pkcs7)).get()); }

Result<AuthenticodeSignature> decode_authenticode(Bytes pkcs7) {
  constexpr int certificate_cap = 16;
  const auto handle = TRY(decode(pkcs7));
  AuthenticodeSignature out;
  out.image = TRY(image_digest_of(handle.get()));
  const auto* signers = PKCS7_get_signer_info(handle.get());
  if (sk_PKCS7_SIGNER_INFO_num(signers) != 1)
    return fail(ErrorCode::malformed, "an Authenticode signature has one signer; this one has none, or several");
  const auto* signer = sk_PKCS7_SIGNER_INFO_value(signers, 0);
  const auto* named = signer->issuer_and_serial;
  out.issuer = text_of(named->issuer);
  out.serial = hex_of(named->serial);
  out.signing_time = TRY(signing_time_of(signer));
  const auto* certificates = handle->d.sign->cert;
  if (sk_X509_num(certificates) > certificate_cap)
    return fail(ErrorCode::limit, "more than 16 certificates in a signature");
  for (int i = 0; i < sk_X509_num(certificates); ++i) {
    const X509* x509 = sk_X509_value(certificates, i);
    out.certificates.push_back(TRY(certificate_of(x509)));
    if (X509_NAME_cmp(X509_get_issuer_name(x509), named->issuer) != 0 ||
        ASN1_INTEGER_cmp(X509_get0_serialNumber(x509), named->serial) != 0)
      continue;
    out.signer_certificate = out.certificates.back();
    out.signer = out.certificates.back().subject();
    out.key = key_text(x509);
  }
  return out;
}

Result<void> verify_authenticode(Bytes pkcs7, const Certificate& anchor) {
  const auto handle = TRY(decode(pkcs7));
  // What is signed are the contents of the SEQUENCE, without its tag and length.
  const Bytes content = TRY(contents_of(TRY(read_element(TRY(indirect_data(handle.get())))), sequence));
  const unsigned char* at = anchor.der().data();
  const std::unique_ptr<X509, Deleter<X509_free>> certificate(
      d2i_X509(nullptr, &at, static_cast<long>(anchor.der().size())));
  const std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<BIO, Deleter<BIO_free_all>> message(
      BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  if (!certificate || !store || !message || X509_STORE_add_cert(store.get(), certificate.get()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "preparing to verify an Authenticode signature"));
  // Any certificate of db is trusted by itself, root or not, for any purpose and at any time.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509_STORE_set_purpose(store.get(), X509_PURPOSE_ANY);
  if (PKCS7_verify(handle.get(), nullptr, store.get(), message.get(), nullptr, PKCS7_BINARY) != 1)
    return fail(openssl_error(ErrorCode::crypto, fmt::format("not signed under \"{}\"", anchor.subject())));
  return {};
}

}  // namespace ingot::crypto
