#pragma once

#include <string>

#include "ingot/builder/tree.hpp"

namespace ingot::builder::detail {

/// Lays a tree out on the host with its owners, modes, devices and extended attributes; needs root. `to` is made and
/// must lie in a folder that nobody else can enter: set-id files come to be in it.
Result<void> unpack_tree(const Tree& tree, const std::string& to, Progress& progress);

}  // namespace ingot::builder::detail
