// From a difference to a sentence that a person can act on. Internal to check/.
#pragma once

#include "align.hpp"
#include "ingot/model/evidence.hpp"

namespace ingot::check {

/// What a measured event says, as far as anything vouches for it. The stub logs section names only, so the text of
/// .cmdline, .uname and .osrel is looked for in what the node reports of itself, and vouched for by the digest.
struct ObservedText {
  std::string text;  ///< marked in words when nothing vouches for it; may be empty
  bool vouched = false;
};
ObservedText observed_text(const Event& event, const Evidence& evidence);

/// The finding for the first difference of a PCR.
Finding explain(PcrIndex pcr, const Difference& difference, const Evidence& evidence);

/// A PCR whose value is not the predicted one, without an event that tells why.
Finding explain_value(PcrIndex pcr, HashAlg bank, std::string expected, std::string observed);

}  // namespace ingot::check
