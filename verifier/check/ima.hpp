// What ran and was read on the node, against the image's files. Internal to check/.
#pragma once

#include "ingot/codec/ima.hpp"
#include "policy.hpp"

namespace ingot::check {

/// Where an earlier verdict on the same bytes ended, to go on from there without reading what is in front again.
struct ImaMemory {
  codec::ImaPlace place;
  Digests values;  ///< PCR 10 there
};

/// Judges the IMA list of evidence whose quote holds; goes on where question.last stopped, when that was in this boot.
/// `memory` is used and brought up to date. Error (malformed): a list that cannot be decoded.
Result<void> check_ima(const Policy& policy, const NodeQuestion& question, const Evidence& evidence,
                       const std::vector<HashAlg>& banks, ImaMemory& memory, Verdict& verdict);

}  // namespace ingot::check
