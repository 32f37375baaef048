#include "release.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ingot::check {
namespace {

std::string time_text(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

}  // namespace

void check_release(const Baseline& baseline, const NodeQuestion& question, Verdict& verdict) {
  const auto subject = fmt::format("release {} version {}", baseline.profile, baseline.version);
  if (const auto* revoked = find_revocation(question.revoked, baseline.profile, baseline.version))
    verdict.findings.push_back(
        {FindingKind::release_revoked, subject, "a release that may run", "revoked", revoked->why, Remedy::redeploy});
  if (question.now != 0 && baseline.not_after != 0 && question.now > baseline.not_after)
    verdict.findings.push_back({FindingKind::release_expired, subject, "not after " + time_text(baseline.not_after),
                                time_text(question.now), "the release's time is over: build and roll out a new one",
                                Remedy::redeploy});
  const auto newest = question.accepted.find(baseline.profile);
  if (newest != question.accepted.end() && baseline.version < newest->second)
    verdict.findings.push_back({FindingKind::release_older, subject, fmt::format("version {} or newer", newest->second),
                                fmt::format("version {}", baseline.version),
                                "a newer release was accepted before: somebody asks for an old one", Remedy::redeploy});
}

}  // namespace ingot::check
