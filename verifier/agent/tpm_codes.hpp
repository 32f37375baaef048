// Numbers that the files of TpmDevice share. Part 2: Structures, "TPM_RH".
#pragma once

#include <cstddef>
#include <cstdint>

namespace ingot::agent {

inline constexpr std::uint32_t tpm_rh_owner = 0x40000001;
inline constexpr std::uint32_t tpm_rh_null = 0x40000007;
inline constexpr std::uint32_t tpm_rs_pw = 0x40000009;
inline constexpr std::uint32_t tpm_rh_endorsement = 0x4000000B;
inline constexpr std::size_t structure_cap_bytes = 2048;

}  // namespace ingot::agent
