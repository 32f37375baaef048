// A difference between what was cast and what booted, and the verdict over all of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ingot/model/digest.hpp"
#include "ingot/model/setting.hpp"

namespace ingot {

/// What a person does about a finding.
enum class Remedy { redeploy, re_enrol, update_platform, investigate };
std::string to_text(Remedy remedy);

/// Closed set; text form and meaning are in one table (base/model.cpp), from which FINDINGS.md is made.
enum class FindingKind {
  event_differs,
  event_missing,
  event_unexpected,
  pcr_differs,
  pcr_missing,
  log_replay_differs,
  log_problem,
  known_other_release,
  release_revoked,
  release_expired,
  release_older,
  quote_invalid,
  quote_nonce_differs,
  quote_selection_differs,
  quote_pcrs_differ,
  quote_missing,
  bank_missing,
  node_differs,
  channel_differs,
  key_not_enrolled,
  clock_went_back,
  file_differs,
  file_unknown,
  ima_replay_differs,
  boot_refused,
  image_differs,
  signature_invalid,
  setting_differs,
  setting_missing,
  setting_unexpected,
  volume_differs,
};
/// "event-differs": stable and machine-readable.
std::string to_text(FindingKind kind);
/// What it means, in one sentence.
std::string meaning(FindingKind kind);
/// All kinds, in the order of the enumeration.
std::vector<FindingKind> finding_kinds();

struct Finding {
  FindingKind kind{};
  std::string subject;   ///< "pcr 11, .cmdline"
  std::string expected;  ///< text or hexadecimal; may be empty
  std::string observed;
  std::string cause;  ///< likely cause, one sentence
  Remedy remedy = Remedy::redeploy;
  std::optional<PcrIndex> pcr = {};  ///< the PCR that it is about, when it is about one
  /// What kind of setting it is about, when it is about one. No TPM vouches for what was observed then: it is the
  /// node's own word.
  std::optional<SettingArea> setting = {};

  [[nodiscard]] bool self_reported() const { return setting.has_value(); }
  bool operator==(const Finding&) const = default;
};

/// What a verifier remembers of a node, to see time go back and to go on where it stopped.
struct NodeState {
  std::string node;
  std::uint32_t reset_count = 0;  ///< TPMS_CLOCK_INFO of the last quote that was accepted
  std::uint32_t restart_count = 0;
  std::uint64_t clock_ms = 0;
  std::uint64_t ima_count = 0;  ///< entries of the IMA list that were judged
  Digests ima_values;           ///< PCR 10 after them
  /// Which volumes the node has: what knows each one's key, by the partition's label. Empty: none was seen.
  std::map<std::string, std::string> volumes = {};
  bool operator==(const NodeState&) const = default;
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
  /// The boot as a chain: each expected or measured event of a judged PCR, in the order in which they extend it.
  enum class LinkState { matches, variant, differs, missing, unexpected };
  struct Link {
    PcrIndex pcr = 0;
    std::string cause;
    std::string expected;  ///< text, or a digest in hexadecimal; empty for what nothing expects
    std::string observed;
    LinkState state = LinkState::matches;
    bool operator==(const Link&) const = default;
  };
  std::vector<Link> chain;
  /// Departures from the default sequence that the model allows: "pcr 5: ExitBootServices retried once".
  std::vector<std::string> notes;
  /// Measured files (IMA) that this verdict compared with the image's manifest.
  std::uint64_t files_judged = 0;
  /// How many of the baseline's settings were compared with what the node reports of itself.
  std::map<SettingArea, std::uint64_t> settings_judged;
  /// What to remember of the node when this verdict is `trusted`; nothing without a valid quote.
  std::optional<NodeState> state;

  /// Only with at least one PCR compared and not a single finding.
  [[nodiscard]] bool trusted() const { return findings.empty() && !pcrs.empty(); }
  bool operator==(const Verdict&) const = default;
};

}  // namespace ingot
