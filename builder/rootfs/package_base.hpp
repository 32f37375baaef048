// A base tree from Debian packages.
#pragma once

#include "ingot/builder/base_tree.hpp"

namespace ingot::builder::detail {

/// Digest of what a lock answers: packages, suite, components, architecture.
std::string request_digest(const PackageBase& base, const std::string& kernel_package);

/// Not yet stripped.
Result<BaseTree> make_package_base(const PackageBase& base, const std::string& kernel_package,
                                   const BaseOptions& options, Progress& progress);

}  // namespace ingot::builder::detail
