#include "ingot/measure/volume_policy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/hash.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::measure {
namespace {

constexpr HashAlg bank = volume_bank;
constexpr PcrIndex secure_boot_pcr = 7, kernel_boot_pcr = 11;

/// systemd-stub measures the section's bytes as they are.
Result<void> check_policy_key(const Baseline& baseline, const std::string& pem) {
  const auto carried = std::find_if(baseline.events.begin(), baseline.events.end(), [](const ExpectedEvent& event) {
    return event.pcr == kernel_boot_pcr && event.cause == ".pcrpkey";
  });
  const auto image = fmt::format("{} version {}", baseline.profile, baseline.version);
  if (carried == baseline.events.end() || !carried->digests.contains(bank))
    return fail(ErrorCode::missing, fmt::format("{} has no .pcrpkey section: no boot of it could open a volume", image),
                "build the image with a key folder that has pcr.key");
  const auto& wanted = carried->digests.at(bank);
  const auto found = crypto::hash(bank, as_bytes(pem));
  if (wanted == found) return {};
  return fail(ErrorCode::crypto,
              fmt::format("the PCR policy key is not the one of {}: SHA-256 {}, its .pcrpkey has {}", image,
                          to_hex(found), to_hex(wanted)),
              "give pcr.pub of the key folder that the image was built with");
}

Result<Digest> secure_boot_value(const Baseline& baseline, const Platform& platform) {
  std::vector<ExpectedEvent> events;
  for (const auto* share : {&platform.events, &baseline.events}) {
    const auto before = events.size();
    std::copy_if(share->begin(), share->end(), std::back_inserter(events),
                 [](const ExpectedEvent& event) { return event.pcr == secure_boot_pcr; });
    if (events.size() == before)
      return fail(ErrorCode::missing,
                  fmt::format("the {} expects nothing of PCR 7, which the policy holds by value",
                              share == &platform.events ? "platform" : "baseline"),
                  "volumes are sealed for machines with Secure Boot: learn the platform and build the image with it");
  }
  for (const auto& event : events)
    if (!event.is_exact() || !event.optional_block.empty())
      return fail(ErrorCode::unsupported,
                  fmt::format("PCR 7 has more than one good value: \"{}\" differs among machines of platform \"{}\"",
                              event.cause, platform.name),
                  "learn a platform for each value, and seal with the one of the node");
  const auto values = replay_expected(events, {});
  const auto found = values.find(bank);
  if (found == values.end()) return fail(ErrorCode::missing, "platform and baseline have no common SHA-256 bank");
  return found->second.at(secure_boot_pcr);
}

}  // namespace

Result<VolumePolicy> volume_policy(const Baseline& baseline, const Platform& platform,
                                   const crypto::PublicKey& policy_key) {
  TRY(check_policy_key(baseline, policy_key.pem()));
  return volume_policy(TRY(secure_boot_value(baseline, platform)), policy_key);
}

Result<VolumePolicy> volume_policy(const Digest& pcr_7, const crypto::PublicKey& policy_key) {
  const auto name = TRY(codec::object_name(codec::encode_tpm_public(TRY(policy_key_public(policy_key)))));
  VolumePolicy out{policy_key.pem(), {}, volume_values(pcr_7)};
  out.digest = TRY(signed_policy(out.by_value, name));
  return out;
}

}  // namespace ingot::measure
