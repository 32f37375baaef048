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
/// What a profile's [shipping] leaves to its surroundings; empty: they have none.
struct ShippingDefaults {
  std::string collector;               ///< address of the site's collector
  std::string ca;                      ///< PEM: tls-ca of the key folder
  std::string ca_path = "tls-ca.crt";  ///< where it was read, for errors
};
/// Fills in what [shipping] leaves open. Errors (malformed, at the table): nobody names a collector, nobody has the
/// authority that its certificate and those of the nodes come from; at `ca_path`: it is no authority's certificate.
Result<void> complete_shipping(Profile& profile, const ShippingDefaults& defaults);
/// Whom the recovery keys of the profile's volumes are encrypted to, by recovery.crt of the key folder (PEM; empty: there
/// is none). Errors (malformed): a volume has recovery and there is no certificate, or none that can be encrypted to.
Result<void> complete_recovery(Profile& profile, const std::string& certificate_path, std::string_view pem);

}  // namespace ingot::builder
