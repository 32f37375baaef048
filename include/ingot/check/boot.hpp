// Does a boot match its baseline? Alignment of a node's log with the expected events.
#pragma once

#include <memory>

#include "ingot/base/result.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/model/enrolment.hpp"
#include "ingot/model/evidence.hpp"
#include "ingot/model/finding.hpp"
#include "ingot/model/release.hpp"

namespace ingot::check {

/// What is golden: the same for all nodes of one release and machine class.
struct GoldenValues {
  const Baseline* baseline = nullptr;
  const Platform* platform = nullptr;    ///< null: platform PCRs cannot be judged, which is a finding
  std::vector<Baseline> other_releases;  ///< known releases of the same profile, to name an old one
  /// Files of the image; null: IMA's list is not judged.
  const std::vector<FileDigest>* manifest = nullptr;
};

/// What is asked of one node, now.
struct NodeQuestion {
  std::optional<Buffer> nonce;            ///< the nonce that was handed in; none: freshness is a note, not checked
  const Enrolment* enrolment = nullptr;   ///< null: that the key is of this node's TPM is a note, not checked
  std::optional<Buffer> channel_binding;  ///< of the connection; none: not checked
  const NodeState* last = nullptr;        ///< of the last accepted verdict on this node
  std::vector<Revocation> revoked;        ///< releases that may not run any more
  AcceptedVersions accepted;              ///< the newest version of each profile that was trusted before
  std::int64_t now = 0;                   ///< seconds since 1970; 0: a release's end is not judged
  bool with_chain = true;                 ///< false: Verdict::chain, which only a report needs, stays empty
};

struct BootQuestion : GoldenValues, NodeQuestion {};

/// Judges many boots against the same golden values. What one verdict worked out (decoded keys, logs that came before,
/// hashes over their beginning) is kept for the next, which changes how long a verdict takes and nothing else. Not for
/// use by several threads at once.
class BootChecker {
 public:
  /// `golden` and what it points to must stay as they are while the checker is used. `memory_cap_bytes`: how much to
  /// keep, about the size of its logs for each node that was trusted; the nodes longest not seen are forgotten.
  explicit BootChecker(const GoldenValues& golden, std::size_t memory_cap_bytes = std::size_t{256} << 20);
  BootChecker(BootChecker&&) noexcept;
  BootChecker& operator=(BootChecker&&) noexcept;
  ~BootChecker();

  /// Errors (malformed) only for evidence that cannot be decoded; everything else is a finding.
  Result<Verdict> check(const NodeQuestion& question, const Evidence& evidence);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One boot alone: as BootChecker::check().
Result<Verdict> check_boot(const BootQuestion& question, const Evidence& evidence);

/// Platform events (PCR 0-3, 6, and 7 up to its separator) of one machine's log, checked to replay to the PCR
/// values handed over with it; everything that the booted image measured is left out.
Result<Platform> learn_platform(const Evidence& evidence);
/// The same of several machines of one class: what is constant, and what varies in which way. Values are kept for the
/// PCRs that are the same on all of them.
Result<Platform> learn_platform(const std::vector<Evidence>& machines);
/// Whether machines of the class measure this into the PCR.
bool expects(const Platform& platform, PcrIndex pcr, const Digests& digests);
/// For the person who signs: how many events are constant, and each that varies.
std::vector<std::string> describe_variation(const Platform& platform);

/// A page (HTML) that needs nothing else: the verdict, its findings, and the boot as a chain with expected beside
/// observed.
std::string render_report(const Verdict& verdict);

/// Claims of an EAT attestation result (draft-ietf-rats-ear, profile "tag:ietf.org,2026:rats/ear#05") as a JSON text,
/// ready to be signed. Times are seconds since 1970.
struct EarTerms {
  std::int64_t issued_at = 0;
  std::int64_t expires_at = 0;
  std::string node;  ///< of the enrolment that the key was compared with; empty: nobody vouches for a node's name
  Buffer nonce;      ///< that the evidence answers; may be empty
};
std::string ear_claims(const Verdict& verdict, const EarTerms& terms);

/// verifier/check/FINDINGS.md: kinds of findings, kinds of log problems and firmware habits, from their tables.
std::string render_findings_page();

std::string verdict_json(const Verdict& verdict);
/// For people: first the word, "trusted" or "untrusted"; then per finding what, expected, observed, cause, and what to
/// do.
std::string render_verdict(const Verdict& verdict);

}  // namespace ingot::check
