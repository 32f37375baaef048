#include "ingot/measure/volume_policy.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "check_machine.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "key_vectors.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

crypto::PublicKey policy_key() {
  return crypto::PublicKey::from_spki_der(parse_base64(vectors::rsa_spki).value()).value();
}

/// The captured boot's image, had it been built with this policy key.
Baseline image_with_key() {
  auto image = baseline();
  for (auto& event : image.events)
    if (event.cause == ".pcrpkey") event.digests = crypto::hash_banks(as_bytes(policy_key().pem()));
  return image;
}

ErrorCode refusal(const Baseline& image, const Platform& machine) {
  return measure::volume_policy(image, machine, policy_key()).error().code;
}

}  // namespace

TEST_CASE("volume policy: PCR 7 is what the TPM of a real boot held, PCR 15 what it holds before any volume is open") {
  const auto policy = measure::volume_policy(image_with_key(), platform(), policy_key()).value();
  PcrValues held;
  held[HashAlg::sha256] = {{7, reference().pcrs.at(HashAlg::sha256).at(7)}, {15, Digest(32, 0)}};
  const auto name =
      codec::object_name(codec::encode_tpm_public(measure::policy_key_public(policy_key()).value())).value();
  CHECK(policy.digest == measure::policy_pcr(HashAlg::sha256, measure::policy_authorize(HashAlg::sha256, name),
                                             {{HashAlg::sha256, {7, 15}}}, held)
                             .value());
  CHECK(policy.policy_key_pem == policy_key().pem());
}

TEST_CASE("volume policy: an image of other keys, or a machine that is not one machine, has none") {
  CHECK(refusal(baseline(), platform()) == ErrorCode::crypto);
  auto without = image_with_key();
  std::erase_if(without.events, [](const ExpectedEvent& event) { return event.cause == ".pcrpkey"; });
  CHECK(refusal(without, platform()) == ErrorCode::missing);
  auto no_secure_boot = platform();
  std::erase_if(no_secure_boot.events, [](const ExpectedEvent& event) { return event.pcr == 7; });
  CHECK(refusal(image_with_key(), no_secure_boot) == ErrorCode::missing);
  const auto secure_boot_event = [](Platform& machine) -> ExpectedEvent& {
    return *std::find_if(machine.events.begin(), machine.events.end(),
                         [](const ExpectedEvent& event) { return event.pcr == 7; });
  };
  auto varying = platform(), sometimes = platform();
  secure_boot_event(varying).alternatives.push_back(crypto::hash_banks(Buffer{1}));
  CHECK(refusal(image_with_key(), varying) == ErrorCode::unsupported);
  secure_boot_event(sometimes).optional_block = "only on some machines";
  CHECK(refusal(image_with_key(), sometimes) == ErrorCode::unsupported);
}
