// Finding the kernel in a tree.
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

}  // namespace ingot::builder
