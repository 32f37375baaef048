#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/model/site.hpp"

namespace ingot::builder {

/// Reads a profile and what it extends. Errors (malformed) carry file:line:column, what was expected and, for an
/// unknown key, the nearest valid one.
Result<Profile> load_profile(const std::string& path);

/// Reads a site file and checks that it makes sense as a whole: planes that carry what rides on them, flows whose ends
/// meet, policies that no flow contradicts, nobody locked out, logs deliverable. Errors as above.
Result<Site> load_site(const std::string& path);

}  // namespace ingot::builder
