// A difference between what was cast and what booted, and the verdict over all of them.
#pragma once

#include <string>
#include <vector>

#include "ingot/model/digest.hpp"

namespace ingot {

/// What a person does about a finding.
enum class Remedy { redeploy, re_enrol, update_platform, investigate };
std::string to_text(Remedy remedy);

/// Closed, documented set; the text form ("event-differs") is stable and machine-readable.
enum class FindingKind {
  event_differs,        ///< an expected event is there with another digest
  event_missing,        ///< an expected event is not there
  event_unexpected,     ///< an event that nothing expects
  pcr_differs,          ///< a PCR's value is not the predicted one
  pcr_missing,          ///< the evidence has no value for a PCR that is policed
  log_replay_differs,   ///< the log does not replay to the PCR values
  log_problem,          ///< the log breaks a rule of its grammar
  known_other_release,  ///< what booted is another known release of this profile
  quote_invalid,        ///< signature, magic, type or structure of the quote
  quote_nonce_differs,
  quote_selection_differs,
  quote_pcrs_differ,  ///< pcrDigest does not match the PCR values handed over
  quote_missing,
  bank_missing,   ///< a predicted bank is not active on the node
  boot_refused,   ///< firmware refused to start the image
  image_differs,  ///< bytes of the image are not what the baseline says
  signature_invalid,
};
std::string to_text(FindingKind kind);

struct Finding {
  FindingKind kind{};
  std::string subject;   ///< "pcr 11, .cmdline"
  std::string expected;  ///< text or hexadecimal; may be empty
  std::string observed;
  std::string cause;  ///< likely cause, one sentence
  Remedy remedy = Remedy::redeploy;

  bool operator==(const Finding&) const = default;
};

struct Verdict {
  std::string profile;
  std::uint64_t version = 0;
  std::vector<Finding> findings;
  /// For each PCR of each predicted bank: expected and observed, so that "no PCR was skipped" can be seen.
  struct PcrLine {
    HashAlg bank{};
    PcrIndex pcr = 0;
    std::string expected;
    std::string observed;
    bool operator==(const PcrLine&) const = default;
  };
  std::vector<PcrLine> pcrs;
  /// Departures from the default sequence that the model allows: "pcr 5: ExitBootServices retried once".
  std::vector<std::string> notes;

  /// Only with at least one PCR compared and not a single finding.
  [[nodiscard]] bool trusted() const { return findings.empty() && !pcrs.empty(); }
};

}  // namespace ingot
