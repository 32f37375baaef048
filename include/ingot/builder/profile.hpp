#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/profile.hpp"

namespace ingot::builder {

/// Reads a profile and what it extends. Errors (malformed) carry file:line:column, what was expected and, for an
/// unknown key, the nearest valid one.
Result<Profile> load_profile(const std::string& path);

}  // namespace ingot::builder
