#include "ingot/measure/tpm_policy.hpp"

#include "ingot/crypto/hash.hpp"

namespace ingot::measure {
namespace {

// Part 2, "TPM_CC".
constexpr std::uint32_t tpm_cc_policy_nv = 0x00000149;
constexpr std::uint32_t tpm_cc_policy_authorize = 0x0000016A;
constexpr std::uint32_t tpm_cc_policy_or = 0x00000171;
constexpr std::uint32_t tpm_cc_policy_pcr = 0x0000017F;
constexpr std::uint32_t tpm_cc_policy_authorize_nv = 0x00000192;
constexpr std::uint16_t tpm_eo_unsigned_le = 0x0009;  // Part 2, "TPM_EO"

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

Buffer policy_nv_at_most(HashAlg alg, Bytes before, Bytes nv_name, std::uint64_t most) {
  const auto arguments = crypto::hash(alg, Writer{}.u64be(most).u16be(0).u16be(tpm_eo_unsigned_le).view());
  return extend(alg, before, tpm_cc_policy_nv, Writer{}.bytes(arguments).bytes(nv_name).view());
}

Buffer policy_or(HashAlg alg, const std::vector<Buffer>& branches) {
  Writer digests;
  for (const auto& branch : branches) digests.bytes(branch);
  return extend(alg, policy_start(alg), tpm_cc_policy_or, digests.view());
}

codec::TpmPublic policy_key_public(Buffer modulus, std::uint32_t exponent) {
  namespace attribute = codec::object_attribute;
  codec::TpmRsa rsa;
  rsa.exponent = exponent;
  rsa.modulus = std::move(modulus);
  rsa.key_bits = static_cast<std::uint16_t>(rsa.modulus.size() * 8);
  return codec::TpmPublic{
      HashAlg::sha256, attribute::decrypt | attribute::sign_encrypt | attribute::user_with_auth, {}, std::move(rsa)};
}

Result<codec::TpmPublic> policy_key_public(const crypto::PublicKey& key) {
  auto numbers = TRY(key.rsa_numbers());
  return policy_key_public(std::move(numbers.modulus), numbers.exponent);
}

}  // namespace ingot::measure
