// Digests and PCR values. TCG Algorithm Registry 1.34, "TPM_ALG_ID".
#pragma once

#include <map>
#include <string>

#include "ingot/base/bytes.hpp"

namespace ingot {

/// The value is the TPM_ALG_ID.
enum class HashAlg : std::uint16_t {
  sha1 = 0x0004,
  sha256 = 0x000B,
  sha384 = 0x000C,
  sha512 = 0x000D,
  sm3_256 = 0x0012
};

std::string to_text(HashAlg alg);  ///< "sha256"
std::optional<HashAlg> parse_hash_alg(std::string_view text);
std::size_t digest_size_bytes(HashAlg alg);
/// The banks for which Ingot predicts.
inline constexpr HashAlg predicted_banks[] = {HashAlg::sha256, HashAlg::sha384};

/// One digest per hash algorithm, as a TPM's TPML_DIGEST_VALUES.
using Digests = std::map<HashAlg, Buffer>;

using PcrIndex = std::uint32_t;
inline constexpr PcrIndex pcr_count = 24;
/// Values of one bank; an index that is not there is not known, which never means "zero".
using PcrBank = std::map<PcrIndex, Buffer>;
using PcrValues = std::map<HashAlg, PcrBank>;

}  // namespace ingot
