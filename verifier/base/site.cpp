#include "ingot/model/site.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ingot {
namespace {

template <typename T>
const T* find_named(const std::vector<T>& list, std::string_view name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const T& one) { return one.name == name; });
  return found == list.end() ? nullptr : &*found;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

/// What no zone can be: addresses that no host has (RFC 6890; IPv6 begins at 2000::/3, RFC 4291), other planes'
/// subnets, and nodes.
std::vector<IpRange> not_outside(const Site& site, const SiteZone& zone) {
  std::vector<IpRange> out;
  for (const auto* special :
       {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/3", "fe80::/10", "ff00::/8"})
    out.push_back(IpRange::of(*IpPrefix::parse(special)));
  for (const auto& plane : site.planes)
    if (plane.name != zone.plane)
      for (const auto& subnet : plane.subnets) out.push_back(IpRange::of(subnet));
  for (const auto& role : site.roles)
    if (const auto* member = role.on(zone.plane))
      out.insert(out.end(), member->addresses.begin(), member->addresses.end());
  return out;
}

}  // namespace

const std::string& interface_name(const SitePlane& plane) {
  return plane.kind == PlaneKind::plain ? plane.link : plane.name;
}

const SiteMember* SiteRole::on(std::string_view plane) const {
  const auto found = std::find_if(planes.begin(), planes.end(), [&](const auto& one) { return one.plane == plane; });
  return found == planes.end() ? nullptr : &*found;
}

std::optional<FlowPort> FlowPort::parse(std::string_view text) {
  if (text == "icmp") return FlowPort{FlowProtocol::icmp, 0, 0};
  const bool is_tcp = text.starts_with("tcp/");
  if (!is_tcp && !text.starts_with("udp/")) return std::nullopt;
  const auto ports = text.substr(4);
  const auto dash = ports.find('-');
  const auto first = parse_port(ports.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return FlowPort{is_tcp ? FlowProtocol::tcp : FlowProtocol::udp, *first, *last};
}

bool FlowPort::contains(const FlowPort& other) const {
  return protocol == other.protocol && first <= other.first && other.last <= last;
}

std::string to_text(const FlowPort& port) {
  if (port.protocol == FlowProtocol::icmp) return "icmp";
  const auto* name = port.protocol == FlowProtocol::tcp ? "tcp" : "udp";
  if (port.first == port.last) return fmt::format("{}/{}", name, port.first);
  return fmt::format("{}/{}-{}", name, port.first, port.last);
}

bool overlap(const FlowPort& a, const FlowPort& b) {
  return a.protocol == b.protocol && a.first <= b.last && b.first <= a.last;
}

std::string to_text(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::never:
      return "never";
    case PolicyKind::only_from:
      return "only-from";
    case PolicyKind::only_through:
      return "only-through";
    case PolicyKind::always:
      return "always";
    case PolicyKind::isolated:
      return "isolated";
  }
  return "?";
}

const SitePlane* Site::plane(std::string_view name) const { return find_named(planes, name); }
const SiteRole* Site::role(std::string_view name) const { return find_named(roles, name); }
const SiteZone* Site::zone(std::string_view name) const { return find_named(zones, name); }

unsigned vxlan_overhead(IpFamily underlay) { return 14 + 8 + 8 + (underlay == IpFamily::v4 ? 20 : 40); }

std::vector<IpRange> addresses_on(const Site& site, std::string_view endpoint, std::string_view plane) {
  if (const auto* role = site.role(endpoint)) {
    const auto* member = role->on(plane);
    return member == nullptr ? std::vector<IpRange>{} : member->addresses;
  }
  const auto* zone = site.zone(endpoint);
  if (zone == nullptr || zone->plane != plane) return {};
  std::vector<IpRange> given;
  for (const auto& prefix : zone->addresses) given.push_back(IpRange::of(prefix));
  return subtract(std::move(given), not_outside(site, *zone));
}

}  // namespace ingot
