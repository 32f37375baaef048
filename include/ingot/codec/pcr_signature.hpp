// .pcrsig of a UKI: JSON as systemd-measure(1) writes it, and beside its banks the member "ingot", which systemd passes
// over: the release's generation, signed together with the policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::codec {

struct ReleaseSignature {
  std::uint32_t generation = 0;
  Buffer policy;     ///< TPM2_PolicyPCR of PCR 11 in the phase "enter-initrd"; SHA-256
  Buffer signature;  ///< RSASSA, SHA-256, over the policy and measure::generation_ref()
  bool operator==(const ReleaseSignature&) const = default;
};

/// The member "ingot", as text.
std::string encode_release_signature(const ReleaseSignature& release);
/// Of a whole .pcrsig. Errors: missing, a .pcrsig without one; malformed.
Result<ReleaseSignature> decode_release_signature(std::string_view pcrsig);

}  // namespace ingot::codec
