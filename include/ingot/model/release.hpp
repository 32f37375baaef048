// What may run: releases that were taken back, and the newest that was accepted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// One release that may not run any more. Signed, all of them in one statement; predicate type
/// "https://ingot.dev/revocations/v1".
struct Revocation {
  std::string profile;
  std::uint64_t version = 0;
  std::string why;
  bool operator==(const Revocation&) const = default;
};

/// Null when the release was not taken back.
const Revocation* find_revocation(const std::vector<Revocation>& revoked, std::string_view profile,
                                  std::uint64_t version);

/// Profile name to the highest version that a verdict called trusted. File format "ingot-accepted/1".
using AcceptedVersions = std::map<std::string, std::uint64_t>;

}  // namespace ingot
