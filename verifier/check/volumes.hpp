// Encrypted volumes: are they sealed as predicted, and are they those that the node had before? Internal to check/.
#pragma once

#include "ingot/check/boot.hpp"

namespace ingot::check {

/// First in PCR 15: what was measured before anything else of the node could write to the TPM.
struct FirstOfNode {
  std::string text;    ///< as logged; nobody vouches for it
  std::string digest;  ///< SHA-256 bank, hexadecimal: the log leads to the value that the TPM signed
};

/// Of a baseline with volumes; of another one nothing is asked. Fills in verdict.state.
void check_volumes(const GoldenValues& golden, const NodeQuestion& question, const Evidence& evidence,
                   const std::optional<FirstOfNode>& first, Verdict& verdict);

}  // namespace ingot::check
