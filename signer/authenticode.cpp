// Authenticode: PKCS#7 SignedData over SpcIndirectDataContent. "Windows Authenticode Portable Executable Signature
// Format" 1.0, "Authenticode-Specific Structures"; RFC 2315.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

#include "ingot/codec/der.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/signer/pe.hpp"
#include "pkcs7.hpp"

namespace ingot::signer {
namespace {

using codec::encode_der, codec::der_octet_string, codec::der_sequence, codec::der_set;

constexpr std::uint8_t der_bit_string = 0x03, der_utc_time = 0x17, der_generalized_time = 0x18;
constexpr std::uint8_t context_0 = 0xA0, context_2 = 0xA2, primitive_context_0 = 0x80;

// 1.3.6.1.4.1.311.2.1.4 SPC_INDIRECT_DATA, 1.3.6.1.4.1.311.2.1.15 SPC_PE_IMAGE_DATA.
constexpr std::array<std::uint8_t, 12> indirect_data_oid = {0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                            0x01, 0x82, 0x37, 0x02, 0x01, 0x04};
constexpr std::array<std::uint8_t, 12> pe_image_data_oid = {0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04,
                                                            0x01, 0x82, 0x37, 0x02, 0x01, 0x0F};
// PKCS#9 (RFC 2985): 1.2.840.113549.1.9.3 contentType, .4 messageDigest, .5 signingTime.
using AttributeOid = std::array<std::uint8_t, 11>;
constexpr AttributeOid content_type_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x03};
constexpr AttributeOid message_digest_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x04};
constexpr AttributeOid signing_time_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x05};

/// SpcIndirectDataContent's content octets, without the outer SEQUENCE header: what messageDigest is over.
Buffer indirect_data(Bytes digest) {
  // SpcPeImageData: flags BIT STRING {}, file [0] EXPLICIT SpcLink { file [2] EXPLICIT SpcString { unicode [0]
  // "<<<Obsolete>>>" } }.
  Buffer obsolete;
  for (const char c : std::string_view("<<<Obsolete>>>"))
    obsolete.insert(obsolete.end(), {0, static_cast<std::uint8_t>(c)});
  const auto link = encode_der(context_0, encode_der(context_2, encode_der(primitive_context_0, obsolete)));
  const auto flags = encode_der(der_bit_string, Buffer{0x00});
  const auto data = der_of(der_sequence, {pe_image_data_oid, der_of(der_sequence, {flags, link})});
  const auto message_digest = der_of(der_sequence, {sha256_algorithm, encode_der(der_octet_string, digest)});
  auto content = data;
  content.insert(content.end(), message_digest.begin(), message_digest.end());
  return content;
}

Buffer attribute(Bytes type, Bytes value) { return der_of(der_sequence, {type, encode_der(der_set, value)}); }

/// UTCTime up to 2049, GeneralizedTime from then on (RFC 5652, "Signing-Time").
Result<Buffer> time_value(std::int64_t time) {
  constexpr std::int64_t end_of_9999 = 253402300799, begin_of_2050 = 2524608000;
  if (time < 0 || time > end_of_9999)
    return fail(ErrorCode::usage, fmt::format("{} is no signing time: the years 1970 to 9999 are", time),
                "give seconds since 1970, or none");
  const auto parts = fmt::gmtime(static_cast<std::time_t>(time));
  if (time < begin_of_2050) return encode_der(der_utc_time, as_bytes(fmt::format("{:%y%m%d%H%M%S}Z", parts)));
  return encode_der(der_generalized_time, as_bytes(fmt::format("{:%Y%m%d%H%M%S}Z", parts)));
}

}  // namespace

Result<Buffer> authenticode_signature(Bytes authenticode_sha256, const SigningKey& key, std::string_view what,
                                      std::optional<std::int64_t> signing_time) {
  TRY(key.certificate());
  if (key.kind() != KeyKind::rsa)
    return fail(ErrorCode::crypto, "Secure Boot signatures need an RSA key", "use an RSA-2048 (or larger) key for db");
  const auto indirect = indirect_data(authenticode_sha256);
  const auto content = encode_der(der_sequence, indirect);
  SignedDataForm form{.content_type = indirect_data_oid, .content = content, .certificate = OwnCertificate::inside};
  form.attributes = {attribute(content_type_oid, indirect_data_oid),
                     attribute(message_digest_oid, encode_der(der_octet_string, crypto::sha256(indirect)))};
  // Without a time the same file signs to the same bytes.
  if (signing_time) form.attributes.push_back(attribute(signing_time_oid, TRY(time_value(*signing_time))));
  return sign_pkcs7(form, {}, key, {fmt::format("Authenticode of {}", what), to_buffer(authenticode_sha256)});
}

}  // namespace ingot::signer
