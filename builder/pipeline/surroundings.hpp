// What a profile leaves to its site and to the key folder. Internal to pipeline/.
#pragma once

#include "ingot/base/result.hpp"
#include "ingot/model/profile.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::builder {

/// Where a role of the site delivers its records: the collector's first address on the plane over which the site lets
/// them through, which every collector's certificate names; empty when there is no such plane.
std::string collector_address(const Site& site, std::string_view role, std::uint16_t port);

/// The profile with nothing left open. Errors: those of complete_shipping() and complete_recovery().
Result<Profile> complete_profile(Profile profile, const signer::KeyFolder& keys);

}  // namespace ingot::builder
