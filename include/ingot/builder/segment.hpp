// From a site to the proof of its segmentation.
#pragma once

#include <map>
#include <string>

#include "ingot/base/result.hpp"
#include "ingot/check/segment.hpp"
#include "ingot/model/site.hpp"

namespace ingot::builder {

/// Rulesets by role, as kernels hold them.
using Rulesets = std::map<std::string, codec::NftRuleset>;

/// The site's roles under these rulesets, its zones, and for each plane everybody else who could be on it; its flows and
/// policies as claims. Error (missing) for a role without a ruleset.
Result<check::Topology> topology_of(const Site& site, const Rulesets& rulesets);

/// Loads a ruleset into the kernel, in a network namespace of its own, and reads it back. Errors: malformed (nft refuses
/// it), missing (no nft), tool_failed (no namespaces here).
Result<codec::NftRuleset> ruleset_of_kernel(const std::string& text);
/// The same as `nft --json` prints it (libnftables-json(5)).
Result<Buffer> ruleset_json_of_kernel(const std::string& text);

/// The site as a picture: planes as bars, roles and zones as boxes on them, flows as arrows, all text in the SVG.
std::string render_segment_map(const Site& site, const check::SegmentReport& report);

}  // namespace ingot::builder
