#include "ingot/measure/volume_binding.hpp"

#include "ingot/measure/tpm_policy.hpp"

namespace ingot::measure {
namespace {

constexpr HashAlg bank = volume_bank;
constexpr PcrIndex secure_boot_pcr = 7, node_pcr = 15;

const codec::PcrSelections& selections() {
  static const codec::PcrSelections pcrs = {{bank, {std::begin(volume_pcrs), std::end(volume_pcrs)}}};
  return pcrs;
}

}  // namespace

PcrValues volume_values(const Digest& pcr_7) {
  return {{bank, {{secure_boot_pcr, pcr_7}, {node_pcr, Digest(digest_size_bytes(bank), 0)}}}};
}

Result<Buffer> signed_policy(const PcrValues& by_value, Bytes key_name) {
  return policy_pcr(bank, policy_authorize(bank, key_name), selections(), by_value);
}

Result<Buffer> index_policy(const PcrValues& by_value, const codec::TpmNvPublic& index) {
  return policy_pcr(bank, policy_authorize_nv(bank, codec::nv_name(index)), selections(), by_value);
}

}  // namespace ingot::measure
