// NV indices and policy sessions.
#include <fmt/format.h>

#include "ingot/crypto/hash.hpp"
#include "tpm_codes.hpp"
#include "tpm_device.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint16_t tpm_eo_unsigned_le = 0x0009;
constexpr std::uint32_t cc_nv_undefine_space = 0x122;
constexpr std::uint32_t cc_nv_define_space = 0x12A;
constexpr std::uint32_t cc_nv_increment = 0x134;
constexpr std::uint32_t cc_nv_write = 0x137;
constexpr std::uint32_t cc_policy_nv = 0x149;
constexpr std::uint32_t cc_load_external = 0x167;
constexpr std::uint32_t cc_nv_read_public = 0x169;
constexpr std::uint32_t cc_policy_authorize = 0x16A;
constexpr std::uint32_t cc_policy_or = 0x171;
constexpr std::uint32_t cc_verify_signature = 0x177;
constexpr std::uint32_t cc_policy_pcr = 0x17F;

}  // namespace

Result<codec::TpmNvPublic> TpmDevice::nv_public(std::uint32_t index) {
  const auto description = TRY(run(cc_nv_read_public, {index}, {}, {}, 0));
  Reader in{description};
  const Bytes area = codec::decode_tpm2b(in, structure_cap_bytes);
  if (!in.ok()) return fail(in.error());
  return TRY_IN(fmt::format("NV index 0x{:08x}", index), codec::decode_tpm_nv_public(area));
}

Result<void> TpmDevice::define_nv(const codec::TpmNvPublic& index) {
  auto fresh = index;
  fresh.attributes &= ~codec::nv_written;
  Writer parameters;
  parameters.u16be(0);  // an empty password
  codec::encode_tpm2b(parameters, codec::encode_tpm_nv_public(fresh));
  TRY_IN(fmt::format("defining NV index 0x{:08x}", index.index),
         run(cc_nv_define_space, {tpm_rh_owner}, {tpm_rs_pw}, parameters.view(), 0));
  return {};
}

Result<void> TpmDevice::undefine_nv(std::uint32_t index) {
  TRY_IN(fmt::format("undefining NV index 0x{:08x}", index),
         run(cc_nv_undefine_space, {tpm_rh_owner, index}, {tpm_rs_pw}, {}, 0));
  return {};
}

Result<void> TpmDevice::increment_nv(std::uint32_t index) {
  TRY_IN(fmt::format("counting in NV index 0x{:08x}", index), run(cc_nv_increment, {index, index}, {tpm_rs_pw}, {}, 0));
  return {};
}

Result<void> TpmDevice::write_nv(std::uint32_t index, std::uint32_t session, Bytes content) {
  Writer parameters;
  codec::encode_tpm2b(parameters, content);
  parameters.u16be(0);  // offset
  TRY_IN(fmt::format("writing NV index 0x{:08x}", index),
         run(cc_nv_write, {index, index}, {session}, parameters.view(), 0));
  return {};
}

Result<void> TpmDevice::policy_pcr(std::uint32_t session, const codec::PcrSelections& selections) {
  Writer parameters;
  parameters.u16be(0);  // pcrDigest: as the PCRs are
  codec::encode_pcr_selections(parameters, selections);
  TRY(run(cc_policy_pcr, {session}, {}, parameters.view(), 0));
  return {};
}

Result<std::uint32_t> TpmDevice::load_public(const codec::TpmPublic& key) {
  Writer parameters;
  parameters.u16be(0);  // inPrivate
  codec::encode_tpm2b(parameters, codec::encode_tpm_public(key));
  parameters.u32be(tpm_rh_owner);  // a hierarchy, or the ticket says nothing
  const auto response = TRY_IN("loading the PCR policy key", run(cc_load_external, {}, {}, parameters.view(), 1));
  Reader in{response};
  return in.finish_prefix(in.u32be());
}

Result<void> TpmDevice::policy_authorize(std::uint32_t session, const codec::TpmPublic& key, Bytes approved,
                                         Bytes policy_ref, Bytes signature) {
  const auto name = TRY(codec::object_name(codec::encode_tpm_public(key)));
  const auto digest = crypto::hash(HashAlg::sha256, Writer{}.bytes(approved).bytes(policy_ref).view());
  const auto handle = TRY(load_public(key));
  Writer parameters;
  codec::encode_tpm2b(parameters, digest);
  parameters.bytes(
      codec::encode_tpm_signature({{codec::TpmAlg::rsassa, HashAlg::sha256}, to_buffer(signature), {}, {}}));
  const auto ticket = run(cc_verify_signature, {handle}, {}, parameters.view(), 0);
  TRY(flush(handle));
  if (!ticket)
    return fail(ErrorCode::crypto, fmt::format("the release's signature does not hold: {}", ticket.error().message));
  Writer authorize;
  codec::encode_tpm2b(authorize, approved);
  codec::encode_tpm2b(authorize, policy_ref);
  codec::encode_tpm2b(authorize, name);
  authorize.bytes(*ticket);
  TRY(run(cc_policy_authorize, {session}, {}, authorize.view(), 0));
  return {};
}

Result<void> TpmDevice::policy_nv_at_most(std::uint32_t session, std::uint32_t index, std::uint64_t most) {
  Writer parameters;
  codec::encode_tpm2b(parameters, Writer{}.u64be(most).view());
  parameters.u16be(0).u16be(tpm_eo_unsigned_le);  // offset
  TRY(run(cc_policy_nv, {index, index, session}, {tpm_rs_pw}, parameters.view(), 0));
  return {};
}

Result<void> TpmDevice::policy_or(std::uint32_t session, const std::vector<Buffer>& branches) {
  Writer parameters;
  parameters.u32be(static_cast<std::uint32_t>(branches.size()));
  for (const auto& branch : branches) codec::encode_tpm2b(parameters, branch);
  TRY(run(cc_policy_or, {session}, {}, parameters.view(), 0));
  return {};
}

}  // namespace ingot::agent
