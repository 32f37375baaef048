// `ingot-agent target`: on a bastion, from what somebody typed to the address of a node.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

struct TargetOptions {
  std::string ranges;  ///< file of the image: what may be reached; formats of both: ingot/check/target.hpp
  std::string nodes;   ///< file on persistent storage: names; it need not be there
  std::string name;    ///< empty: check the file of names instead
};
/// Prints the address as text. Errors: those of find_target() and check_nodes(), io.
Result<std::string> run_target(const TargetOptions& options);

}  // namespace ingot::agent
