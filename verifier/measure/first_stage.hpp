// Internal to measure/.
#pragma once

#include <vector>

#include "ingot/codec/esl.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/measure/boot_chain.hpp"
#include "ingot/model/baseline.hpp"

namespace ingot::measure {

/// The file that is judged: its signatures, and what they must be over.
struct JudgedFile {
  std::string_view name;  ///< for errors: "the UKI"
  const ByteSource& file;
  const codec::Pe& pe;
  const Digests& authenticode;
};

/// What starting a UKI through this chain measures up to the UKI itself. `medium` is what firmware measures of where it
/// reads from. With an empty db no event of PCR 7 is known, and none is among them. Errors (crypto): a file that the
/// one before it refuses; (missing): shim without the machine's variables.
Result<std::vector<ExpectedEvent>> chain_events(const FirstStage& first, const JudgedFile& uki, Bytes db,
                                                std::vector<ExpectedEvent> medium);

}  // namespace ingot::measure
