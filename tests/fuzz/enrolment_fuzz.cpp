#include "fuzz.hpp"
#include "ingot/codec/enrolment.hpp"
#include "ingot/codec/state.hpp"
#include "ingot/crypto/chain.hpp"
#include "ingot/fleet/enrolment.hpp"

using namespace ingot;

namespace {

/// What was decoded is what is encoded again.
template <typename Decode, typename Encode>
void round_trip(Bytes input, Decode decode, Encode encode) {
  const auto value = decode(input);
  if (!value) return;
  const auto again = decode(as_bytes(encode(*value)));
  FUZZ_REQUIRE(again && *again == *value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  round_trip(input, codec::decode_identity, codec::encode_identity);
  round_trip(input, codec::decode_challenge, codec::encode_challenge);
  round_trip(input, codec::decode_activation, codec::encode_activation);
  round_trip(input, codec::decode_pending, codec::encode_pending);
  round_trip(input, codec::decode_enrolment_statement, codec::encode_enrolment_statement);
  round_trip(input, codec::decode_node_state, codec::encode_node_state);
  round_trip(input, codec::decode_accepted, codec::encode_accepted);
  round_trip(input, codec::decode_revocations_statement, codec::encode_revocations_statement);
  (void)crypto::der_element_size(input);
  if (const auto identity = codec::decode_identity(input)) {
    fleet::EnrolmentPolicy policy;
    policy.allowed_ek_sha256 = {"x"};
    FUZZ_REQUIRE(!fleet::start_enrolment("node", *identity, policy));
  }
  return 0;
}
