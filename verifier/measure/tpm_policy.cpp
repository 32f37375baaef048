#include "ingot/measure/tpm_policy.hpp"

#include "ingot/crypto/hash.hpp"

namespace ingot::measure {
namespace {

// Part 2, "TPM_CC".
constexpr std::uint32_t tpm_cc_policy_authorize = 0x0000016A;
constexpr std::uint32_t tpm_cc_policy_pcr = 0x0000017F;
constexpr std::uint32_t tpm_cc_policy_authorize_nv = 0x00000192;

Buffer extend(HashAlg alg, Bytes before, std::uint32_t command, Bytes argument) {
  return crypto::hash(alg, Writer{}.bytes(before).u32be(command).bytes(argument).view());
}

}  // namespace

Buffer policy_start(HashAlg alg) { return Buffer(digest_size_bytes(alg), 0); }

Result<Buffer> policy_pcr(HashAlg alg, Bytes before, const codec::PcrSelections& selections, const PcrValues& pcrs) {
  const auto values = TRY(codec::quoted_pcr_digest(alg, selections, pcrs));
  return extend(alg, before, tpm_cc_policy_pcr,
                Writer{}.bytes(codec::encode_pcr_selections(selections)).bytes(values).view());
}

Buffer policy_authorize(HashAlg alg, Bytes key_name, Bytes policy_ref) {
  const auto by_key = extend(alg, policy_start(alg), tpm_cc_policy_authorize, key_name);
  return crypto::hash(alg, Writer{}.bytes(by_key).bytes(policy_ref).view());
}

Buffer policy_authorize_nv(HashAlg alg, Bytes nv_name) {
  return extend(alg, policy_start(alg), tpm_cc_policy_authorize_nv, nv_name);
}

Result<codec::TpmPublic> policy_key_public(const crypto::PublicKey& key) {
  namespace attribute = codec::object_attribute;
  constexpr std::uint8_t der_integer = 0x02, der_sequence = 0x30;
  auto der = key.rsa_public_key_der();
  if (!der) return fail(ErrorCode::unsupported, "a policy key that is not RSA", "sign PCR policies with an RSA key");
  // RFC 8017, "RSA Public Key Syntax": SEQUENCE { modulus, publicExponent }, in DER's length octets.
  Reader in{*der};
  const auto length = [&]() -> std::size_t {
    const std::size_t first = in.u8();
    return first == 0x82 ? in.u16be() : first == 0x81 ? in.u8() : first;
  };
  const auto unsigned_number = [&] {
    if (in.u8() != der_integer) in.fail_with("no INTEGER where a number of the key must be");
    auto number = in.bytes(length());
    while (number.size() > 1 && number.front() == 0) number = number.subspan(1);
    return number;
  };
  if (in.u8() != der_sequence) in.fail_with("no SEQUENCE where the key must be");
  (void)length();
  codec::TpmRsa rsa;
  rsa.modulus = to_buffer(unsigned_number());
  const auto exponent_bytes = unsigned_number();
  if (exponent_bytes.size() > 4) return fail(ErrorCode::unsupported, "a policy key with an exponent above 32 bits");
  for (const auto byte : exponent_bytes) rsa.exponent = rsa.exponent << 8 | byte;
  rsa.key_bits = static_cast<std::uint16_t>(rsa.modulus.size() * 8);
  const codec::TpmPublic area{
      HashAlg::sha256, attribute::decrypt | attribute::sign_encrypt | attribute::user_with_auth, {}, std::move(rsa)};
  return in.finish(area);
}

}  // namespace ingot::measure
