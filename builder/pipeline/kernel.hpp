// Finding the kernel and the stub in a tree.
#pragma once

#include <string>

#include "ingot/base/result.hpp"
#include "ingot/builder/tree.hpp"

namespace ingot::builder {

struct KernelInTree {
  std::string release;  ///< uname -r
  std::string image;    ///< path of the bzImage
};
/// The newest kernel that has an image and a modules folder. Error (missing) when there is none.
Result<KernelInTree> find_kernel(const Tree& tree);

/// systemd's stub for x86-64. `configured` wins over the standard place. Error (missing) when it is not there.
Result<std::string> find_stub(const Tree& tree, const std::string& configured);

/// Content of a regular file without reading it. Error (missing).
Result<SharedSource> tree_content(const Tree& tree, const std::string& path);

}  // namespace ingot::builder
