// What a running node says of itself. The TPM does not vouch for it; the quote's binding only says which node said it
// and when.
#pragma once

#include <map>
#include <string>

namespace ingot {

/// Outputs of the tools and kernel files that tell what is in force, as they came: part name to text. Which parts there
/// are is one table (verifier/agent/report.cpp), which tools are asked another (builder/config/report.cpp); format in
/// verifier/codec/report.md.
struct NodeReport {
  std::map<std::string, std::string> parts;
  bool operator==(const NodeReport&) const = default;
};

}  // namespace ingot
