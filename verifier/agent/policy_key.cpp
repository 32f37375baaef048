#include "policy_key.hpp"

#include <algorithm>
#include <string>

#include "ingot/base/bytes.hpp"
#include "ingot/codec/spki.hpp"
#include "ingot/measure/tpm_policy.hpp"

namespace ingot::agent {
namespace {

constexpr std::string_view begin_mark = "-----BEGIN PUBLIC KEY-----";
constexpr std::string_view end_mark = "-----END PUBLIC KEY-----";

/// Content of an element with this tag.
Bytes element(Reader& in, std::uint8_t tag) {
  if (in.u8() != tag) in.fail_with("no such element in a public key");
  std::uint64_t size = in.u8();
  if (size == 0x81) size = in.u8();
  if (size == 0x82) size = in.u16be();
  return in.bytes(size);
}

/// A number without the zero that keeps it positive.
Bytes unsigned_number(Reader& in) {
  auto number = element(in, codec::der_integer);
  while (number.size() > 1 && number.front() == 0) number = number.subspan(1);
  return number;
}

Result<Buffer> der_of(std::string_view pem) {
  const auto begin = pem.find(begin_mark), end = pem.find(end_mark);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
    return fail(ErrorCode::malformed, "no public key in PEM");
  std::string text(pem.substr(begin + begin_mark.size(), end - begin - begin_mark.size()));
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  auto bytes = parse_base64(text);
  if (!bytes) return fail(ErrorCode::malformed, "the public key is not in base64");
  return *std::move(bytes);
}

}  // namespace

Result<codec::TpmPublic> read_policy_key(std::string_view pem) {
  const auto der = TRY(der_of(pem));
  Reader whole{der};
  Reader info{element(whole, codec::der_sequence)};
  const auto algorithm = element(info, codec::der_sequence);
  const auto bits = element(info, codec::der_bit_string);
  if (!whole.ok() || !info.ok()) return fail(ErrorCode::malformed, "no SubjectPublicKeyInfo");
  if (!std::equal(algorithm.begin(), algorithm.end(), std::begin(codec::rsa_encryption),
                  std::end(codec::rsa_encryption)))
    return fail(ErrorCode::unsupported, "the PCR policy key is no RSA key");
  Reader unused{bits};
  unused.skip(1);
  Reader key{element(unused, codec::der_sequence)};
  auto modulus = to_buffer(unsigned_number(key));
  std::uint32_t exponent = 0;
  for (const auto byte : unsigned_number(key)) exponent = exponent << 8 | byte;
  if (!unused.ok() || !key.ok()) return fail(ErrorCode::malformed, "no RSA key in its SubjectPublicKeyInfo");
  return measure::policy_key_public(std::move(modulus), exponent);
}

}  // namespace ingot::agent
