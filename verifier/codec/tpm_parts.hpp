// What codecs of TPM structures have in common.
#pragma once

#include "ingot/base/reader.hpp"
#include "ingot/model/digest.hpp"

namespace ingot::codec::detail {

inline constexpr std::size_t digest_cap_bytes = 64;  ///< TPM2B_DIGEST of the largest hash

/// TPMI_ALG_HASH; fails the reader for one that HashAlg does not have.
HashAlg read_hash_alg(Reader& in);
/// Part 1, "Names": nameAlg || H_nameAlg(area).
Buffer name_of(HashAlg alg, Bytes area);

}  // namespace ingot::codec::detail
