// Authenticode: PKCS#7 SignedData over SpcIndirectDataContent. "Windows Authenticode Portable Executable Signature
// Format" 1.0, "Authenticode-Specific Structures"; RFC 2315.
#include <fmt/format.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>

#include <array>

#include "ingot/base/writer.hpp"
#include "ingot/codec/der.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/pe.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {
namespace {

using Pkcs7Handle = std::unique_ptr<PKCS7, crypto::Deleter<PKCS7_free>>;

// DER is written out: the structure is fixed but for the digest, so that no encoder has to be trusted with it.
// 1.3.6.1.4.1.311.2.1.4 SPC_INDIRECT_DATA, 1.3.6.1.4.1.311.2.1.15 SPC_PE_IMAGE_DATA.
constexpr std::array<std::uint8_t, 12> indirect_data_oid = {0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                            0x01, 0x82, 0x37, 0x02, 0x01, 0x04};
constexpr std::array<std::uint8_t, 12> pe_image_data_oid = {0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                            0x01, 0x82, 0x37, 0x02, 0x01, 0x0F};
constexpr std::array<std::uint8_t, 15> sha256_algorithm = {0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                           0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};

Buffer join(std::initializer_list<Bytes> parts) {
  Writer out;
  for (const auto part : parts) out.bytes(part);
  return out.take();
}

/// SpcIndirectDataContent's content octets, without the outer SEQUENCE header: what messageDigest is over.
Buffer indirect_data(Bytes digest) {
  constexpr std::uint8_t sequence = 0x30;
  // SpcPeImageData: flags BIT STRING {}, file [0] EXPLICIT SpcLink { file [2] EXPLICIT SpcString { unicode [0]
  // "<<<Obsolete>>>" } }.
  Buffer obsolete;
  for (const char c : std::string_view("<<<Obsolete>>>"))
    obsolete.insert(obsolete.end(), {0, static_cast<std::uint8_t>(c)});
  const auto link = codec::encode_der(0xA0, codec::encode_der(0xA2, codec::encode_der(0x80, obsolete)));
  const auto flags = codec::encode_der(0x03, Buffer{0x00});
  const auto data =
      codec::encode_der(sequence, join({pe_image_data_oid, codec::encode_der(sequence, join({flags, link}))}));
  const auto message_digest = codec::encode_der(sequence, join({sha256_algorithm, codec::encode_der(0x04, digest)}));
  return join({data, message_digest});
}

Result<void> add_time(PKCS7_SIGNER_INFO* signer, std::int64_t time) {
  constexpr std::int64_t end_of_9999 = 253402300799;
  if (time < 0 || time > end_of_9999)
    return fail(ErrorCode::usage, fmt::format("{} is no signing time: the years 1970 to 9999 are", time),
                "give seconds since 1970, or none");
  // UTCTime up to 2049, GeneralizedTime from then on (RFC 5652, "Signing-Time").
  std::unique_ptr<ASN1_TIME, crypto::Deleter<ASN1_TIME_free>> value(ASN1_TIME_set(nullptr, time));
  if (!value || PKCS7_add_signed_attribute(signer, NID_pkcs9_signingTime, value->type, value.get()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "adding the time to a signature"));
  (void)value.release();
  return {};
}

Result<void> add_attributes(PKCS7_SIGNER_INFO* signer, Bytes content, std::optional<std::int64_t> signing_time) {
  const auto digest = crypto::sha256(content);
  const std::unique_ptr<ASN1_OBJECT, crypto::Deleter<ASN1_OBJECT_free>> type(OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", 1));
  if (!type || PKCS7_add_signed_attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT, OBJ_dup(type.get())) != 1 ||
      PKCS7_add1_attrib_digest(signer, digest.data(), static_cast<int>(digest.size())) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "adding attributes to a signature"));
  // Without a time the same file signs to the same bytes.
  if (signing_time) TRY(add_time(signer, *signing_time));
  return {};
}

/// encapContentInfo: SPC_INDIRECT_DATA with the content as an explicit SEQUENCE.
Result<void> set_content(PKCS7* pkcs7, Bytes content) {
  const auto sequence = codec::encode_der(0x30, content);
  const auto content_info = codec::encode_der(0x30, join({indirect_data_oid, codec::encode_der(0xA0, sequence)}));
  const unsigned char* at = content_info.data();
  Pkcs7Handle inner(d2i_PKCS7(nullptr, &at, static_cast<long>(content_info.size())));
  if (!inner || PKCS7_set_content(pkcs7, inner.get()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "encoding what is signed"));
  (void)inner.release();
  return {};
}

}  // namespace

Result<Buffer> authenticode_signature(Bytes authenticode_sha256, const SigningKey& key, std::string_view what,
                                      std::optional<std::int64_t> signing_time) {
  const auto certificate = TRY(key.certificate());
  const unsigned char* at = certificate.der().data();
  const CertificateHandle x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  if (key.kind() != KeyKind::rsa)
    return fail(ErrorCode::crypto, "Secure Boot signatures need an RSA key", "use an RSA-2048 (or larger) key for db");
  const Pkcs7Handle pkcs7(PKCS7_new());
  if (!x509 || !pkcs7 || PKCS7_set_type(pkcs7.get(), NID_pkcs7_signed) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "preparing a signature"));
  PKCS7_SIGNER_INFO* signer = PKCS7_add_signature(pkcs7.get(), x509.get(), X509_get0_pubkey(x509.get()), EVP_sha256());
  if (signer == nullptr || PKCS7_add_certificate(pkcs7.get(), x509.get()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "preparing a signature"));
  const auto content = indirect_data(authenticode_sha256);
  TRY(set_content(pkcs7.get(), content));
  TRY(add_attributes(signer, content, signing_time));
  TRY(sign_pkcs7(signer, key, {fmt::format("Authenticode of {}", what), to_buffer(authenticode_sha256)}, content));
  unsigned char* der = nullptr;
  const int size = i2d_PKCS7(pkcs7.get(), &der);
  if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding a signature"));
  Buffer bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace ingot::signer
