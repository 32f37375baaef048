#include "ingot/fleet/storage_key.hpp"

#include <fmt/format.h>

namespace ingot::fleet {
namespace {

constexpr const char* remedy =
    "read the storage root key on the node with: tpm2_readpublic -c 0x81000001 -o node.srk.pub";

tl::unexpected<Error> refuse(const std::string& found, const std::string& expected) {
  return fail(ErrorCode::crypto, fmt::format("not a storage root key: {}; expected {}", found, expected), remedy);
}

struct Attribute {
  std::uint32_t bit;
  const char* name;
  const char* meaning;  ///< of a key where it is not as an SRK has it
};
namespace attribute = codec::object_attribute;
constexpr Attribute must_be_set[] = {
    {attribute::restricted, "restricted", "its TPM would decrypt what is sealed to it for anybody"},
    {attribute::decrypt, "decrypt", "nothing can be sealed to it"},
    {attribute::fixed_tpm, "fixedTPM", "copies of it may be in other TPMs"},
    {attribute::fixed_parent, "fixedParent", "it may be moved to other parents"},
    {attribute::sensitive_data_origin, "sensitiveDataOrigin", "somebody outside the TPM made it"},
    {attribute::user_with_auth, "userWithAuth", "systemd cannot use it by its empty password"}};
constexpr Attribute must_be_clear[] = {
    {attribute::sign_encrypt, "sign", "it signs"},
    {attribute::st_clear, "stClear", "it is gone after a restart"},
    {attribute::admin_with_policy, "adminWithPolicy", "it looks like an endorsement key"}};

Result<void> check_attributes(std::uint32_t attributes) {
  for (const auto& one : must_be_set)
    if ((attributes & one.bit) == 0)
      return refuse(fmt::format("{} is clear ({})", one.name, one.meaning), fmt::format("{} set", one.name));
  for (const auto& one : must_be_clear)
    if ((attributes & one.bit) != 0)
      return refuse(fmt::format("{} is set ({})", one.name, one.meaning), fmt::format("{} clear", one.name));
  return {};
}

Result<void> check_parameters(const codec::TpmSymmetric& symmetric, const codec::TpmScheme& scheme) {
  if (symmetric != codec::TpmSymmetric{codec::TpmAlg::aes, 128, codec::TpmAlg::cfb})
    return refuse(
        fmt::format("symmetric algorithm 0x{:04x} of {} bits, mode 0x{:04x}", static_cast<std::uint16_t>(symmetric.alg),
                    symmetric.key_bits, static_cast<std::uint16_t>(symmetric.mode)),
        "AES-128-CFB");
  if (scheme.alg != codec::TpmAlg::null)
    return refuse(fmt::format("scheme 0x{:04x}", static_cast<std::uint16_t>(scheme.alg)), "no scheme");
  return {};
}

Result<void> check_kind(const codec::TpmEcc& key) {
  TRY(check_parameters(key.symmetric, key.scheme));
  if (key.curve != codec::TpmCurve::p256)
    return refuse(fmt::format("elliptic curve 0x{:04x}", static_cast<std::uint16_t>(key.curve)), "NIST P-256 (0x0003)");
  return {};
}

Result<void> check_kind(const codec::TpmRsa& key) {
  constexpr std::uint16_t bits = 2048;
  constexpr std::uint32_t default_exponent = 65537;
  TRY(check_parameters(key.symmetric, key.scheme));
  if (key.key_bits != bits) return refuse(fmt::format("RSA of {} bits", key.key_bits), "RSA 2048");
  if (key.exponent != 0 && key.exponent != default_exponent)
    return refuse(fmt::format("RSA exponent {}", key.exponent), "65537");
  if (!key.modulus.empty() && (key.modulus.size() != bits / 8u || (key.modulus.front() & 0x80) == 0))
    return refuse(fmt::format("an RSA modulus of {} bytes", key.modulus.size()), "2048 bits, the first of them set");
  return {};
}

}  // namespace

Result<codec::TpmPublic> decode_public_file(Bytes file) {
  Reader in{file};
  const bool sized = in.u16be() == in.left() && in.ok();
  auto area = codec::decode_tpm_public(sized ? in.rest() : file);
  if (area) return area;
  auto error = std::move(area).error().in("not the public area of a TPM's key");
  error.remedy = remedy;
  return fail(std::move(error));
}

Result<void> check_storage_key(const codec::TpmPublic& key) {
  if (key.name_alg != HashAlg::sha256) return refuse(fmt::format("name algorithm {}", to_text(key.name_alg)), "sha256");
  TRY(check_attributes(key.attributes));
  TRY(std::visit([](const auto& parameters) { return check_kind(parameters); }, key.key));
  // Templates, and points that are not on their curve.
  if (const auto handle = codec::public_key(key); !handle)
    return refuse(handle.error().message, "the public key itself, a point of its curve where it is ECC");
  return {};
}

}  // namespace ingot::fleet
