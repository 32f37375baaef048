#include "admission.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/luks_token.hpp"
#include "ingot/codec/pcr_signature.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "policy_key.hpp"

namespace ingot::agent {
namespace {

constexpr std::uint64_t document_cap_bytes = 1u << 20;
constexpr PcrIndex release_pcr = 11;
/// systemd-stub(7): what the UKI's .pcrpkey becomes.
constexpr const char* policy_key_path = "/run/systemd/tpm2-pcr-public-key.pem";
constexpr std::uint64_t policy_key_cap_bytes = 4096;
const codec::PcrSelections release_pcrs = {{HashAlg::sha256, {release_pcr}}};
constexpr const char* clear_it = "clear the TPM in the firmware's settings, and deploy the node anew";

/// What lies at the handle, with TPMA_NV_WRITTEN as if it were in use; nothing when nothing does.
struct Found {
  std::optional<codec::TpmNvPublic> area;
  bool is_written = false;
};
Result<Found> find(TpmDevice& tpm, std::uint32_t handle) {
  auto area = tpm.nv_public(handle);
  if (!area && area.error().code == ErrorCode::missing) return Found{};
  if (!area) return fail(std::move(area.error()));
  const bool is_written = (area->attributes & codec::nv_written) != 0;
  area->attributes |= codec::nv_written;
  return Found{*std::move(area), is_written};
}

Result<std::uint64_t> read_counter(TpmDevice& tpm) {
  const auto content = TRY(tpm.read_nv(measure::generation_counter().index));
  Reader in{content};
  const auto high = in.u32be(), low = in.u32be();
  return in.finish(std::uint64_t{high} << 32 | low);
}

/// Made where there is none. A TPM cannot read a counter that has never counted.
Result<std::uint64_t> counter_value(TpmDevice& tpm) {
  const auto wanted = measure::generation_counter();
  const auto found = TRY(find(tpm, wanted.index));
  if (!found.area) TRY(tpm.define_nv(wanted));
  if (found.area && *found.area != wanted)
    return fail(ErrorCode::crypto,
                fmt::format("NV index 0x{:08x} of this TPM is not the counter that it is to be", wanted.index),
                clear_it);
  if (!found.is_written) TRY(tpm.increment_nv(wanted.index));
  return read_counter(tpm);
}

Error revoked(std::uint32_t own, std::uint32_t newest) {
  return Error{ErrorCode::crypto,
               fmt::format("this release was revoked: its generation is {}, and this node has booted one of generation "
                           "{}; its volumes stay closed",
                           own, newest),
               fmt::format("deploy a release of generation {} or newer", newest),
               {},
               {}};
}

/// The release index is there, and its policy goes with the counter; the counter shows this release's generation.
Result<measure::ReleasePolicy> reach_generation(TpmDevice& tpm, Bytes key_name, std::uint32_t generation,
                                                bool has_volumes) {
  auto count = TRY(counter_value(tpm));
  const auto handle = measure::release_index({}).index;
  auto found = TRY(find(tpm, handle));
  std::uint32_t newest = generation;
  if (found.area) {
    const auto known = measure::newest_generation(found.area->auth_policy, key_name, count, generation);
    const bool is_ours = known && *found.area == measure::release_index(found.area->auth_policy);
    if (!is_ours && has_volumes)
      return fail(ErrorCode::crypto,
                  fmt::format("the release index of this TPM (NV index 0x{:08x}) belongs to another PCR policy key, or "
                              "to releases more than {} generations away",
                              handle, measure::generation_reach),
                  "deploy a release of the keys that the volumes were made with, or use their recovery keys offline");
    if (!is_ours) TRY(tpm.undefine_nv(handle));
    if (!is_ours) found.area.reset();
    newest = is_ours ? *known : generation;
  }
  const measure::ReleasePolicy policy(key_name, static_cast<std::int64_t>(count) - newest);
  if (!found.area) TRY(tpm.define_nv(measure::release_index(policy.digest())));
  if (newest > generation) return fail(revoked(generation, newest));
  for (; count < policy.most(generation); ++count) TRY(tpm.increment_nv(measure::generation_counter().index));
  return policy;
}

/// Else the TPM would refuse, and say so in its own way.
Result<void> check_phase(const PcrValues& pcrs, const codec::ReleaseSignature& release) {
  const auto running =
      TRY(measure::policy_pcr(HashAlg::sha256, measure::policy_start(HashAlg::sha256), release_pcrs, pcrs));
  if (running == release.policy) return {};
  return fail(ErrorCode::crypto, "PCR 11 is not what .pcrsig was made for",
              "it is another image's, or the initrd has been left");
}

Result<void> satisfy(TpmDevice& tpm, std::uint32_t session, const measure::ReleasePolicy& policy,
                     const codec::TpmPublic& key, const codec::ReleaseSignature& release) {
  TRY(tpm.policy_pcr(session, release_pcrs));
  TRY_IN("PCR 11 and .pcrsig", tpm.policy_authorize(session, key, release.policy,
                                                    measure::generation_ref(release.generation), release.signature));
  TRY_IN("the release's generation",
         tpm.policy_nv_at_most(session, measure::generation_counter().index, policy.most(release.generation)));
  for (const auto& branches : policy.branches(release.generation)) TRY(tpm.policy_or(session, branches));
  return {};
}

/// TPMT_HA of this release's policy. An index that holds it already is left alone: its memory wears out.
Result<void> write_index(TpmDevice& tpm, const measure::ReleasePolicy& policy, const codec::TpmPublic& key,
                         const codec::ReleaseSignature& release) {
  const auto index = measure::release_index(policy.digest()).index;
  const auto content = Writer{}.u16be(static_cast<std::uint16_t>(HashAlg::sha256)).bytes(release.policy).take();
  if (TRY(find(tpm, index)).is_written && TRY(tpm.read_nv(index)) == content) return {};
  const auto session = TRY(tpm.policy_session());
  auto done = satisfy(tpm, session, policy, key, release);
  if (done) done = tpm.write_nv(index, session, content);
  if (!done) (void)tpm.flush(session);  // a command that succeeds ends its session
  return done;
}

/// systemd-pcrlock(8), "pcrlock.json", as systemd 257 reads it; the members that only `make-policy` uses are empty.
std::string systemd_policy(const PcrValues& pcrs, const codec::TpmNvPublic& index) {
  return fmt::format(R"({{"pcrBank":"sha256","pcrValues":[{{"pcr":{},"values":["{}"]}}],"nvIndex":{},"nvHandle":"{}",)"
                     R"("nvPublic":"{}","srkHandle":"","pinPublic":"","pinPrivate":""}})"
                     "\n",
                     release_pcr, to_hex(pcrs.at(HashAlg::sha256).at(release_pcr)), index.index,
                     to_base64(codec::saved_handle(index)),
                     to_base64(codec::encode_tpm2b(codec::encode_tpm_nv_public(index))));
}

}  // namespace

Result<void> admit_release(TpmDevice& tpm, const AdmissionOptions& options) {
  const auto signature = TRY(read_file(options.signature_path, document_cap_bytes));
  const auto release = TRY_IN(options.signature_path, codec::decode_release_signature(as_text(signature)));
  const auto pem = TRY(read_file(options.key_path, document_cap_bytes));
  const auto key = TRY_IN(options.key_path, read_policy_key(as_text(pem)));
  const auto name = TRY(codec::object_name(codec::encode_tpm_public(key)));
  if (release.generation > measure::generation_cap)
    return fail(ErrorCode::limit,
                fmt::format("generation {}, and there are {}", release.generation, measure::generation_cap));
  const bool has_volumes = std::any_of(options.devices.begin(), options.devices.end(), [](const std::string& device) {
    std::error_code ec;
    return std::filesystem::exists(device, ec);
  });
  const PcrValues pcrs = {{HashAlg::sha256, TRY(tpm.read_bank(HashAlg::sha256))}};
  TRY(check_phase(pcrs, release));
  const auto policy = TRY(reach_generation(tpm, name, release.generation, has_volumes));
  TRY(write_index(tpm, policy, key, release));
  return write_file(options.policy_path, as_bytes(systemd_policy(pcrs, measure::release_index(policy.digest()))));
}

Result<std::string> report_revocation() {
  auto tpm = TRY(TpmDevice::open({}));
  std::string out;
  const auto counter = TRY(find(tpm, measure::generation_counter().index));
  if (counter.area && counter.is_written) out += fmt::format("counter {}\n", TRY(read_counter(tpm)));
  const auto index = TRY(find(tpm, measure::release_index({}).index));
  if (index.area) out += fmt::format("index {}\n", to_hex(codec::encode_tpm_nv_public(*index.area)));
  if (const auto key = read_file(policy_key_path, policy_key_cap_bytes)) out += fmt::format("key {}\n", to_hex(*key));
  return out;
}

}  // namespace ingot::agent
