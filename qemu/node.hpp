// What of a node lives on between two boots: variables, TPM, changes to the disk.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::rig {

struct NodeFiles {
  std::string vars;
  std::string tpm_state;
  std::string disk;
  bool disk_is_overlay = false;
};

/// A node that has never booted and is thrown away with `run`; its disk is only read.
NodeFiles fresh_node(const std::string& disk, const std::string& run);

/// The node kept in `folder`, made when it is not there yet. Given another disk than at its last boot (path, size or
/// time differ) the node is redeployed: changes to the old disk are dropped, variables and TPM stay.
Result<NodeFiles> kept_node(const std::string& folder, const std::string& disk);

}  // namespace ingot::rig
