#include "surroundings.hpp"

#include <algorithm>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/builder/profile.hpp"

namespace ingot::builder {

std::string collector_address(const Site& site, std::string_view role, std::uint16_t port) {
  const FlowPort wanted{FlowProtocol::tcp, port, port};
  const auto names = [](const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto& flow : site.flows) {
    const bool carries = std::any_of(flow.ports.begin(), flow.ports.end(),
                                     [&](const FlowPort& ports) { return ports.contains(wanted); });
    // The collector delivers to itself under the address that the others know.
    if (!carries || !names(flow.to, site.collector) || (!names(flow.from, role) && role != site.collector)) continue;
    const auto addresses = addresses_on(site, site.collector, flow.plane);
    if (!addresses.empty()) return to_text(addresses.front().first);
  }
  return {};
}

namespace {

constexpr std::uint64_t certificate_cap_bytes = 64u << 10;

/// Empty without the file.
Result<std::string> read_certificate(const std::string& path) {
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return std::string();
  return std::string(as_text(TRY(read_file(path, certificate_cap_bytes))));
}

}  // namespace

Result<Profile> complete_profile(Profile profile, const signer::KeyFolder& keys) {
  const auto recovery = keys.certificate("recovery");
  TRY(complete_recovery(profile, recovery, TRY(read_certificate(recovery))));
  if (!profile.shipping.enabled) return profile;
  ShippingDefaults defaults;
  if (profile.site) defaults.collector = collector_address(*profile.site, profile.role, profile.shipping.port);
  defaults.ca_path = keys.certificate("tls-ca");
  defaults.ca = TRY(read_certificate(defaults.ca_path));
  TRY(complete_shipping(profile, defaults));
  return profile;
}

}  // namespace ingot::builder
