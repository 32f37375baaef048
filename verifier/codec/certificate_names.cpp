#include "ingot/codec/certificate_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "ingot/codec/der.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint8_t bmp_string = 0x1E;

struct AttributeName {
  std::string_view oid;  ///< DER content, hexadecimal
  std::string_view text;
};
// RFC 2253, "Converting AttributeTypeAndValue", and the e-mail address of RFC 2985.
constexpr AttributeName attribute_names[] = {{"550403", "CN"},
                                             {"550406", "C"},
                                             {"550407", "L"},
                                             {"550408", "ST"},
                                             {"55040a", "O"},
                                             {"55040b", "OU"},
                                             {"2a864886f70d010901", "emailAddress"},
                                             {"0992268993f22c640119", "DC"}};

std::string attribute_text(Bytes oid) {
  const auto hex = to_hex(oid);
  for (const auto& [known, text] : attribute_names)
    if (known == hex) return std::string(text);
  return hex;
}

/// UTF-8 stays what it is: only control characters could play tricks on a terminal.
std::string value_text(const DerElement& value) {
  std::string text;
  if (value.tag == bmp_string) {
    Buffer little(value.content.begin(), value.content.end());
    for (std::size_t i = 0; i + 1 < little.size(); i += 2) std::swap(little[i], little[i + 1]);
    text = from_utf16le(little);
  } else {
    text = std::string(as_text(value.content));
  }
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return text;
}

}  // namespace

Result<CertificateNames> decode_certificate_names(Bytes certificate_der) {
  Reader file{certificate_der};
  const auto certificate = TRY(file.finish(read_der(file, der_sequence)));
  Reader in{certificate.content};
  Reader body{read_der(in, der_sequence).content};
  if (next_der_is(body, der_context_0)) (void)read_der(body);  // version
  CertificateNames names;
  names.serial_number = read_der(body, der_integer).whole;
  (void)read_der(body, der_sequence);  // signature algorithm
  names.issuer = read_der(body, der_sequence).whole;
  (void)read_der(body, der_sequence);  // validity
  names.subject = read_der(body, der_sequence).whole;
  if (!in.ok()) return fail(in.error());
  return body.finish_prefix(names);
}

Result<std::string> name_text(Bytes name_der) {
  Reader file{name_der};
  const auto name = TRY(file.finish(read_der(file, der_sequence)));
  std::string out;
  Reader relative_names{name.content};
  while (relative_names.ok() && relative_names.left() > 0) {
    Reader attributes{read_der(relative_names, der_set).content};
    std::string one;
    while (attributes.ok() && attributes.left() > 0) {
      Reader attribute{read_der(attributes, der_sequence).content};
      const auto oid = read_der(attribute, der_oid);
      const auto value = read_der(attribute);
      if (!attribute.ok()) return fail(attribute.error());
      one += fmt::format("{}{}={}", one.empty() ? "" : "+", attribute_text(oid.content), value_text(value));
    }
    if (!attributes.ok()) return fail(attributes.error());
    // The last relative name comes first.
    out = one + (out.empty() || one.empty() ? "" : ",") + out;
  }
  return relative_names.finish(std::move(out));
}

}  // namespace ingot::codec
