// The index of a tree beside its tars, so that a warm rebuild reads and hashes nothing again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ingot/builder/tree.hpp"

namespace ingot::builder::detail {

/// Writes the index of a tree whose contents all lie in `tars` (paths in the index's own folder).
Result<void> save_index(const Tree& tree, const std::vector<std::string>& tars, const std::string& index_path);

/// Nothing when there is no index, when it is damaged, or when a tar is not the one that was indexed (size and
/// modification time): the caller indexes again.
std::optional<Tree> load_index(const std::string& index_path);

/// index_tar() answered from the index beside the tar when there is one, and leaving one there when not.
Result<Tree> cached_index(const std::string& tar_path, Progress& progress);

}  // namespace ingot::builder::detail
