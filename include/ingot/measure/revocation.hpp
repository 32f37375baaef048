// How the TPM of a node refuses releases that were revoked. A release has a generation, as SBAT has them; the PCR
// policy key signs it together with PCR 11. Two NV indices of the node remember the newest generation that it has
// booted:
//
//   counter         an NV counter. A TPM begins it above all counters that it ever had, so who deletes and defines it
//                   anew comes no way back (Trusted Platform Module Library 2.0, Part 1, "NV Counters").
//   release index   the policy of the one release that may open volumes (TPM2_PolicyAuthorizeNV). To write it takes, in
//                   the initrd, a signature for a generation that is not below the one the counter stands for.
//
// The counter of a node begins where its TPM likes: generation g is `base + g` of it, and the release index's own
// policy says so for each generation. That policy is in its Name, and the Name in the policy of the volumes.
#pragma once

#include <array>
#include <optional>

#include "ingot/codec/tpm_object.hpp"

namespace ingot::measure {

inline constexpr std::uint32_t generation_cap = 512;  ///< 8 * 8 * 8: three times TPM2_PolicyOR
inline constexpr std::uint32_t generation_reach =
    64;  ///< how far a node may have fallen behind a release, or run ahead

/// Both with TPMA_NV_WRITTEN, as they are once they are in use; owner range of the TCG's registry of handles.
codec::TpmNvPublic generation_counter();
codec::TpmNvPublic release_index(Bytes policy);

/// policyRef under which the PCR policy key signs the policy of a release of this generation.
Buffer generation_ref(std::uint32_t generation);

/// Who may write the release index.
class ReleasePolicy {
 public:
  /// `key_name`: of policy_key_public(). `base`: what the counter shows for generation 0; may be negative.
  ReleasePolicy(Bytes key_name, std::int64_t base);

  /// policyDigest of the index.
  [[nodiscard]] const Buffer& digest() const { return digest_; }
  /// What the counter must not exceed for a generation (1 to generation_cap).
  [[nodiscard]] std::uint64_t most(std::uint32_t generation) const;
  /// Lists for TPM2_PolicyOR, in order, that lead from the policy of a generation to digest().
  [[nodiscard]] std::array<std::vector<Buffer>, 3> branches(std::uint32_t generation) const;

 private:
  std::int64_t base_;
  std::array<std::vector<Buffer>, 3> levels_;  ///< 512, 64 and 8 digests
  Buffer digest_;
};

/// The generation that the counter stands for, by the policy of the release index; `near` is tried first, and nothing
/// farther from it than generation_reach. Nothing: the index belongs to another key, or the two to different times.
std::optional<std::uint32_t> newest_generation(Bytes index_policy, Bytes key_name, std::uint64_t count,
                                               std::uint32_t near);

}  // namespace ingot::measure
