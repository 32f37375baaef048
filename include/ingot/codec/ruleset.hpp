// What `nft -j list ruleset` says, one line for each table, chain, rule and set, without what changes by itself. Made
// for comparing: expressions that it does not know are written down as they stand, never left out. libnftables-json(5).
#pragma once

#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"
#include "ingot/model/setting.hpp"

namespace ingot::codec {

struct RulesetLine {
  std::string name;  ///< "inet ingot input" (a chain), "inet ingot input #3" (its third rule), "inet ingot set vteps"
  std::string text;  ///< "ip saddr 10.1.0.5 tcp dport 22 accept"
  bool operator==(const RulesetLine&) const = default;
};

/// The same for every nft from 1.0.6 to 1.1.3 over one ruleset in a kernel: without handles, values of counters and
/// quotas, elements of sets that rules add to, the order in which nft lists objects, and what old releases do not tell
/// (a set's type and auto-merge, the device of a netdev chain). Sorted by name, rules by their place. Errors: not nft's
/// JSON.
Result<std::vector<RulesetLine>> canonical_ruleset(Bytes json);

/// The lines as settings that a baseline records: what a kernel gave back is what a node must report.
Result<std::vector<Setting>> firewall_settings(Bytes json, const std::string& file, const std::string& source);

}  // namespace ingot::codec
