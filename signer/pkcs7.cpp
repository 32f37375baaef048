#include "pkcs7.hpp"

#include <algorithm>

#include "ingot/base/writer.hpp"
#include "ingot/codec/certificate_names.hpp"
#include "ingot/codec/der.hpp"

namespace ingot::signer {
namespace {

using codec::der_context_0, codec::der_octet_string, codec::der_sequence, codec::der_set;

// DER is written out: only names, numbers, digests and the signature differ from one to the next.
constexpr std::array<std::uint8_t, 3> version_1 = {0x02, 0x01, 0x01};
/// 1.2.840.113549.1.7.2, "signedData"
constexpr std::array<std::uint8_t, 11> signed_data_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                          0xF7, 0x0D, 0x01, 0x07, 0x02};
/// AlgorithmIdentifier 1.2.840.113549.1.1.1, "rsaEncryption", parameters NULL
constexpr std::array<std::uint8_t, 15> rsa_algorithm = {0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                        0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};

/// What is in a SET OF. X.690, 11.6: its elements are sorted by their encodings.
Buffer set_of(std::vector<Buffer> elements) {
  std::sort(elements.begin(), elements.end());
  Writer out;
  for (const auto& element : elements) out.bytes(element);
  return out.take();
}

}  // namespace

Buffer der_of(std::uint8_t tag, std::initializer_list<Bytes> parts) {
  Writer content;
  for (const auto part : parts) content.bytes(part);
  return codec::encode_der(tag, content.view());
}

Result<Buffer> sign_pkcs7(const SignedDataForm& form, Bytes message, const SigningKey& key,
                          const SigningPurpose& purpose) {
  const auto certificate = TRY(key.certificate());
  const auto names = TRY_IN("the signer's certificate", codec::decode_certificate_names(certificate.der()));
  const auto attributes = set_of(form.attributes);
  // RFC 2315, "Message-digesting process": what is signed is a SET OF, not the tag that the attributes are sent with.
  const auto signed_attributes = codec::encode_der(der_set, attributes);
  const auto value = TRY(key.sign(purpose, HashAlg::sha256, attributes.empty() ? message : Bytes(signed_attributes)));
  const auto signer =
      der_of(der_sequence, {version_1, der_of(der_sequence, {names.issuer, names.serial_number}), form.digest_algorithm,
                            attributes.empty() ? Buffer{} : codec::encode_der(der_context_0, attributes), rsa_algorithm,
                            codec::encode_der(der_octet_string, value)});
  const auto content =
      der_of(der_sequence,
             {form.content_type, form.content.empty() ? Buffer{} : codec::encode_der(der_context_0, form.content)});
  const auto signed_data = der_of(
      der_sequence,
      {version_1, codec::encode_der(der_set, form.digest_algorithm), content,
       form.certificate == OwnCertificate::inside ? codec::encode_der(der_context_0, certificate.der()) : Buffer{},
       codec::encode_der(der_set, signer)});
  if (form.envelope == Envelope::none) return signed_data;
  return der_of(der_sequence, {signed_data_oid, codec::encode_der(der_context_0, signed_data)});
}

}  // namespace ingot::signer
