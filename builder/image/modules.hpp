// Kernel modules and what they depend on, from depmod's text files. modules.dep(5), modprobe.d(5).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "ingot/builder/tree.hpp"

namespace ingot::builder::detail {

class KernelModules {
 public:
  /// `folder`: "/usr/lib/modules/RELEASE". Error (missing) without modules.dep.
  static Result<KernelModules> load(const Tree& tree, const std::string& folder);

  /// True for a module file and for what is built into the kernel. "-" and "_" are the same.
  [[nodiscard]] bool has(std::string_view name) const;
  /// Paths in the tree of these modules and of everything they depend on, soft dependencies included; sorted. Names
  /// that are built in or unknown add nothing.
  [[nodiscard]] std::set<std::string> closure(const std::vector<std::string>& names) const;

 private:
  struct Module {
    std::string path;
    std::vector<std::string> needs;  ///< names
  };
  std::map<std::string, Module> modules_;  ///< by name with "_"
  std::set<std::string> built_in_;
};

}  // namespace ingot::builder::detail
