#include "binding.hpp"

#include <algorithm>
#include <set>

#include "ingot/base/source.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/volume_binding.hpp"
#include "policy_key.hpp"
#include "volumes.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint64_t key_cap_bytes = 4096;
constexpr PcrIndex secure_boot_pcr = 7;

/// As codec::LuksHeader::sealed() has them, each once.
using Policies = std::set<std::vector<std::string>>;

Result<Policies> wanted_policies(TpmDevice& tpm, const BindingOptions& options) {
  const auto pem = TRY(read_file(options.key_path, key_cap_bytes));
  const auto key = TRY_IN(options.key_path, read_policy_key(as_text(pem)));
  const auto name = TRY(codec::object_name(codec::encode_tpm_public(key)));
  const auto index = TRY(tpm.nv_public(measure::release_index({}).index));
  auto values = options.next;
  values.push_back(TRY(tpm.read_bank(measure::volume_bank)).at(secure_boot_pcr));
  Policies out;
  for (const auto& value : values) {
    const auto by_value = measure::volume_values(value);
    out.insert(
        {to_hex(TRY(measure::signed_policy(by_value, name))), to_hex(TRY(measure::index_policy(by_value, index)))});
  }
  return out;
}

}  // namespace

Result<bool> needs_binding(TpmDevice& tpm, const BindingOptions& options) {
  const auto metadata = TRY(read_luks_metadata(options.device));
  const auto header = TRY_IN(options.device, codec::decode_luks_json(metadata.json));
  const auto wanted = TRY(wanted_policies(tpm, options));
  const auto sealed = header.sealed();
  return !std::equal(sealed.begin(), sealed.end(), wanted.begin(), wanted.end());
}

}  // namespace ingot::agent
