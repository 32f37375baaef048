#include "ingot/measure/revocation.hpp"

#include <algorithm>

#include "ingot/measure/tpm_policy.hpp"

namespace ingot::measure {
namespace {

constexpr HashAlg alg = HashAlg::sha256;
constexpr std::size_t branch_count = 8;  // TPML_DIGEST of TPM2_PolicyOR

constexpr std::uint32_t counter_handle = 0x0181474E;
constexpr std::uint32_t index_handle = 0x0181474F;

// Part 2, "TPMA_NV". Who may run commands may raise the counter, and nobody can lower it.
constexpr std::uint32_t nv_auth_write = 1u << 2;
constexpr std::uint32_t nv_policy_write = 1u << 3;
constexpr std::uint32_t nv_counter = 1u << 4;
constexpr std::uint32_t nv_write_all = 1u << 12;
constexpr std::uint32_t nv_owner_read = 1u << 17;
constexpr std::uint32_t nv_auth_read = 1u << 18;
constexpr std::uint32_t nv_no_da = 1u << 25;

/// No TPM counts so far in its life; a node may say what it likes.
constexpr std::uint64_t count_cap = std::uint64_t{1} << 62;
constexpr std::uint16_t counter_bytes = 8;
constexpr std::uint16_t ha_bytes = 34;  // TPMT_HA with SHA-256

std::uint64_t counter_value(std::int64_t base, std::uint32_t generation) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, base + generation));
}

}  // namespace

codec::TpmNvPublic generation_counter() {
  return {counter_handle,
          alg,
          nv_counter | nv_auth_write | nv_owner_read | nv_auth_read | nv_no_da | codec::nv_written,
          {},
          counter_bytes};
}

codec::TpmNvPublic release_index(Bytes policy) {
  // systemd reads it as owner, in TPM2_PolicyAuthorizeNV.
  return {index_handle, alg,
          nv_policy_write | nv_write_all | nv_owner_read | nv_auth_read | nv_no_da | codec::nv_written,
          to_buffer(policy), ha_bytes};
}

Buffer generation_ref(std::uint32_t generation) {
  return Writer{}.bytes(as_bytes("ingot generation")).u32be(generation).take();
}

ReleasePolicy::ReleasePolicy(Bytes key_name, std::int64_t base) : base_(base) {
  const auto counter = codec::nv_name(generation_counter());
  for (std::uint32_t generation = 1; generation <= generation_cap; ++generation)
    levels_[0].push_back(
        policy_nv_at_most(alg, policy_authorize(alg, key_name, generation_ref(generation)), counter, most(generation)));
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    const auto& below = levels_[level];
    for (std::size_t at = 0; at < below.size(); at += branch_count) {
      const auto begin = below.begin() + static_cast<std::ptrdiff_t>(at);
      auto joined = policy_or(alg, {begin, begin + branch_count});
      if (level + 1 < levels_.size())
        levels_[level + 1].push_back(std::move(joined));
      else
        digest_ = std::move(joined);
    }
  }
}

std::uint64_t ReleasePolicy::most(std::uint32_t generation) const { return counter_value(base_, generation); }

std::array<std::vector<Buffer>, 3> ReleasePolicy::branches(std::uint32_t generation) const {
  std::array<std::vector<Buffer>, 3> out;
  std::size_t at = generation - 1;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    at = at / branch_count * branch_count;
    const auto begin = levels_[level].begin() + static_cast<std::ptrdiff_t>(at);
    out[level] = {begin, begin + branch_count};
    at /= branch_count;
  }
  return out;
}

std::optional<std::uint32_t> newest_generation(Bytes index_policy, Bytes key_name, std::uint64_t count,
                                               std::uint32_t near) {
  if (count > count_cap) return std::nullopt;
  const auto wanted = to_buffer(index_policy);
  const auto fits = [&](std::int64_t generation) {
    return generation >= 1 && generation <= generation_cap &&
           ReleasePolicy(key_name, static_cast<std::int64_t>(count) - generation).digest() == wanted;
  };
  for (std::int64_t distance = 0; distance <= generation_reach; ++distance)
    for (const auto generation : {near - distance, near + distance})
      if (fits(generation)) return static_cast<std::uint32_t>(generation);
  return std::nullopt;
}

}  // namespace ingot::measure
