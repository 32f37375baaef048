// Authenticode: PKCS#7 SignedData over SpcIndirectDataContent. "Windows Authenticode Portable Executable Signature
// Format" 1.0, "Authenticode-Specific Structures"; RFC 2315.
#include <fmt/format.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>

#include <array>

#include "image_name.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/signer/sign.hpp"
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

Buffer tlv(std::uint8_t tag, Bytes content) {
  Writer out;
  out.u8(tag);
  if (content.size() < 0x80) {
    out.u8(static_cast<std::uint8_t>(content.size()));
  } else {
    out.u8(0x82).u16be(static_cast<std::uint16_t>(content.size()));
  }
  return out.bytes(content).take();
}

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
  const auto link = tlv(0xA0, tlv(0xA2, tlv(0x80, obsolete)));
  const auto flags = tlv(0x03, Buffer{0x00});
  const auto data = tlv(sequence, join({pe_image_data_oid, tlv(sequence, join({flags, link}))}));
  const auto message_digest = tlv(sequence, join({sha256_algorithm, tlv(0x04, digest)}));
  return join({data, message_digest});
}

Result<void> add_attributes(PKCS7_SIGNER_INFO* signer, Bytes content) {
  const auto digest = crypto::sha256(content);
  const std::unique_ptr<ASN1_OBJECT, crypto::Deleter<ASN1_OBJECT_free>> type(OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", 1));
  // contentType and messageDigest; no signingTime, so that the same file signs to the same bytes.
  if (!type || PKCS7_add_signed_attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT, OBJ_dup(type.get())) != 1 ||
      PKCS7_add1_attrib_digest(signer, digest.data(), static_cast<int>(digest.size())) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "adding attributes to a signature"));
  return {};
}

/// encapContentInfo: SPC_INDIRECT_DATA with the content as an explicit SEQUENCE.
Result<void> set_content(PKCS7* pkcs7, Bytes content) {
  const auto sequence = tlv(0x30, content);
  const auto content_info = tlv(0x30, join({indirect_data_oid, tlv(0xA0, sequence)}));
  const unsigned char* at = content_info.data();
  Pkcs7Handle inner(d2i_PKCS7(nullptr, &at, static_cast<long>(content_info.size())));
  if (!inner || PKCS7_set_content(pkcs7, inner.get()) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "encoding what is signed"));
  (void)inner.release();
  return {};
}

}  // namespace

Result<Buffer> authenticode_certificate_table(Bytes authenticode_sha256, const SigningKey& key, std::string_view what) {
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
  TRY(add_attributes(signer, content));
  TRY(sign_pkcs7(signer, key, {fmt::format("Authenticode of {}", what), to_buffer(authenticode_sha256)}, content));
  unsigned char* der = nullptr;
  const int size = i2d_PKCS7(pkcs7.get(), &der);
  if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding a signature"));
  const Buffer bytes(der, der + size);
  OPENSSL_free(der);
  // WIN_CERTIFICATE: dwLength counts header and padding, revision 2.0, PKCS#7 signed data.
  Writer table;
  table.u32le(static_cast<std::uint32_t>((bytes.size() + 8 + 7) / 8 * 8)).u16le(0x0200).u16le(0x0002).bytes(bytes);
  return table.align(8).take();
}

Result<void> sign_pe(const SharedSource& file, const SigningKey& key, const std::string& out_path) {
  const auto pe = TRY(codec::decode_pe(*file));
  if (pe.is_signed()) return fail(ErrorCode::unsupported, "the file is already signed", "strip its signature first");
  constexpr HashAlg algs[] = {HashAlg::sha256};
  const auto digest = TRY(measure::authenticode_digests(*file, pe, algs));
  const auto table = TRY(authenticode_certificate_table(digest.at(HashAlg::sha256), key, image_name(*file, pe)));
  const std::uint64_t table_at = (file->size() + 7) / 8 * 8;
  if (table_at + table.size() > 0x7FFFFFFF)
    return fail(ErrorCode::limit, "a PE file of 2 GiB and more; firmware does not load it");
  auto out = TRY(OutputFile::create(out_path));
  TRY(out.copy_at(0, *file));
  TRY(out.write_at(
      pe.security_directory_offset,
      Writer{}.u32le(static_cast<std::uint32_t>(table_at)).u32le(static_cast<std::uint32_t>(table.size())).view()));
  TRY(out.write_at(table_at, table));
  return out.commit();
}

}  // namespace ingot::signer
