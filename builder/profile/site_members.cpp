#include <algorithm>

#include "choice.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

Result<const SitePlane*> find_plane(const Site& site, const Located<std::string>& name, std::string_view who) {
  if (const auto* plane = site.plane(name.value)) return plane;
  return wrong(name.at, fmt::format("{} names the plane \"{}\", which the site does not have", who, name.value),
               suggestion(name.value, names_of(site.planes)));
}

std::string family_name(IpFamily family) { return family == IpFamily::v4 ? "IPv4" : "IPv6"; }

bool has_family(const SitePlane& plane, IpFamily family) {
  return std::any_of(plane.subnets.begin(), plane.subnets.end(),
                     [&](const auto& subnet) { return subnet.family() == family; });
}

Result<IpRange> read_range(const Located<std::string>& text, const SitePlane& plane) {
  const auto range = IpRange::parse(text.value);
  if (!range)
    return wrong(text.at, fmt::format("\"{}\" is not an address, a network or a range of one family", text.value),
                 "write \"10.0.0.1\", \"10.0.0.16/28\" or \"10.0.0.1-10.0.0.9\"");
  if (!has_family(plane, range->family()))
    return wrong(text.at, fmt::format("{} is {}, and the plane {} has no {} subnet", text.value,
                                      family_name(range->family()), plane.name, family_name(range->family())));
  const auto& subnets = plane.subnets;
  if (std::none_of(subnets.begin(), subnets.end(), [&](const auto& one) { return IpRange::of(one).contains(*range); }))
    return wrong(text.at, fmt::format("{} does not lie in a subnet of the plane {}", text.value, plane.name),
                 "a role's addresses on a plane are a part of one of its subnets");
  for (const auto& gateway : plane.gateways)
    if (range->contains(gateway))
      return wrong(text.at, fmt::format("{} has the gateway {} of the plane {} in it", text.value, to_text(gateway),
                                        plane.name));
  return *range;
}

/// An address belongs to one role: rules tell roles apart by nothing else.
Result<void> check_unshared(const Site& site, const SiteRole& role, const std::string& plane, const IpRange& range,
                            const TextLocation& at) {
  for (const auto& other : site.roles) {
    const auto* member = other.on(plane);
    if (member == nullptr) continue;
    for (const auto& taken : member->addresses)
      if (overlap(taken, range))
        return wrong(at,
                     fmt::format("{} of {} overlaps {} of {} on the plane {}", to_text(range), role.name,
                                 to_text(taken), other.name, plane),
                     "give each role addresses of its own");
  }
  return {};
}

Result<SiteMember> read_member(const Site& site, const SiteRole& role, const TableReader& planes,
                               const toml::key& key) {
  const Located<std::string> name{std::string(key.str()), location(key.source(), planes.file())};
  const auto* plane = TRY(find_plane(site, name, fmt::format("the role {}", role.name)));
  SiteMember member{plane->name, {}, name.at};
  const auto texts = *TRY(planes.texts(name.value));
  for (const auto& text : texts) {
    const auto range = TRY(read_range(text, *plane));
    TRY(check_unshared(site, role, plane->name, range, text.at));
    const auto is_same = [&](const IpRange& other) { return overlap(other, range); };
    if (std::any_of(member.addresses.begin(), member.addresses.end(), is_same))
      return wrong(text.at, fmt::format("{} overlaps what stands before it", text.value));
    member.addresses.push_back(range);
  }
  if (member.addresses.empty())
    return wrong(name.at, fmt::format("the role {} has no addresses on the plane {}", role.name, plane->name));
  return member;
}

/// A member of an overlay sends from one of the listed VTEPs, so it has to be on the underlay with one of them.
Result<void> check_overlay_member(const SitePlane& overlay, const SiteRole& role, const SiteMember& member) {
  const auto* below = role.on(overlay.underlay);
  if (below == nullptr)
    return wrong(
        member.at,
        fmt::format("the role {} is on {}, but not on its underlay {}", role.name, overlay.name, overlay.underlay),
        fmt::format("add {} to its planes", overlay.underlay));
  const auto is_own = [&](const IpAddress& vtep) {
    return std::any_of(below->addresses.begin(), below->addresses.end(),
                       [&](const IpRange& range) { return range.contains(vtep); });
  };
  if (std::none_of(overlay.vteps.begin(), overlay.vteps.end(), is_own))
    return wrong(
        member.at,
        fmt::format("the role {} is on {}, and none of the VTEPs is an address of it", role.name, overlay.name),
        fmt::format("add its addresses on {} to the vteps of {}", overlay.underlay, overlay.name));
  return {};
}

/// A VTEP that is no member's address would be trusted and belong to nobody.
Result<void> check_vteps_owned(const Site& site) {
  for (const auto& overlay : site.planes)
    for (const auto& vtep : overlay.vteps) {
      const auto owns = [&](const SiteRole& role) {
        const auto* below = role.on(overlay.underlay);
        return below != nullptr && role.on(overlay.name) != nullptr &&
               std::any_of(below->addresses.begin(), below->addresses.end(),
                           [&](const IpRange& range) { return range.contains(vtep); });
      };
      if (std::none_of(site.roles.begin(), site.roles.end(), owns))
        return wrong(overlay.at,
                     fmt::format("the VTEP {} of {} is no address of a role on it", to_text(vtep), overlay.name),
                     fmt::format("take it out, or put its role on {} and {}", overlay.name, overlay.underlay));
    }
  return {};
}

Result<void> read_role(Site& site, const NamedTable& named) {
  const auto& [name, table] = named;
  TRY(check_site_name(name, "role's"));
  TRY(table.only({"ssh", "planes"}));
  SiteRole role;
  role.name = name.value;
  role.at = name.at;
  if (const auto ssh = TRY(table.boolean("ssh"))) role.ssh = ssh->value;
  const auto planes = TRY(table.table("planes"));
  if (!planes || planes->raw().empty())
    return wrong(name.at, fmt::format("the role {} is on no plane", name.value),
                 fmt::format("add [roles.{}.planes]", name.value));
  for (const auto& [key, node] : planes->raw()) role.planes.push_back(TRY(read_member(site, role, *planes, key)));
  for (const auto& member : role.planes) {
    const auto* plane = site.plane(member.plane);
    if (plane->kind == PlaneKind::vxlan) TRY(check_overlay_member(*plane, role, member));
  }
  site.roles.push_back(std::move(role));
  return {};
}

Result<void> check_zone_address(const SitePlane& plane, const IpPrefix& prefix, const Located<std::string>& text) {
  const auto& subnets = plane.subnets;
  const bool is_near =
      std::any_of(subnets.begin(), subnets.end(), [&](const auto& one) { return one.contains(prefix); });
  const auto& gateways = plane.gateways;
  const bool has_way = std::any_of(gateways.begin(), gateways.end(),
                                   [&](const auto& gateway) { return gateway.family == prefix.family(); });
  if (!is_near && !has_way)
    return wrong(text.at,
                 fmt::format("{} lies behind the plane {}, which has no {} gateway", text.value, plane.name,
                             family_name(prefix.family())),
                 fmt::format("add gateways to [planes.{}]", plane.name));
  return {};
}

Result<void> read_zone(Site& site, const NamedTable& named) {
  const auto& [name, table] = named;
  TRY(check_site_name(name, "zone's"));
  if (site.role(name.value) != nullptr)
    return wrong(name.at, fmt::format("\"{}\" is a role and a zone", name.value), "flows could mean either");
  TRY(table.only({"plane", "addresses"}));
  SiteZone zone;
  zone.name = name.value;
  zone.at = name.at;
  zone.plane = TRY(required_text(table, "plane", fmt::format("the zone {}", name.value)));
  const auto* plane = TRY(find_plane(site, {zone.plane, table.at("plane")}, fmt::format("the zone {}", name.value)));
  const auto addresses = TRY(table.texts("addresses"));
  LocatedTexts texts = addresses.value_or(LocatedTexts{});
  if (texts.empty())
    for (const auto& gateway : plane->gateways) texts.push_back({to_text(IpPrefix::all(gateway.family)), name.at});
  for (const auto& text : texts) {
    const auto prefix = IpPrefix::parse(text.value);
    if (!prefix)
      return wrong(text.at, fmt::format("\"{}\" is not a network", text.value),
                   "write the network and its length, no host bits set: \"192.0.2.0/24\", \"::/0\"");
    TRY(check_zone_address(*plane, *prefix, text));
    zone.addresses.push_back(*prefix);
  }
  if (zone.addresses.empty())
    return wrong(name.at,
                 fmt::format("the zone {} has no addresses, and its plane {} no gateway", name.value, plane->name),
                 "add addresses = [\"...\"], or gateways to the plane");
  site.zones.push_back(zone);
  if (addresses_on(site, zone.name, zone.plane).empty())
    return wrong(name.at, fmt::format("all addresses of the zone {} are nodes' or other planes'", zone.name),
                 "a zone has addresses of its own");
  return {};
}

}  // namespace

Result<void> read_members(Site& site, const TableReader& top) {
  for (const auto& named : TRY(top.named_tables("roles"))) TRY(read_role(site, named));
  if (site.roles.empty()) return wrong({top.file(), 1, 1}, "the site has no roles", "add [roles.NAME]");
  TRY(check_vteps_owned(site));
  for (const auto& named : TRY(top.named_tables("zones"))) TRY(read_zone(site, named));
  return {};
}

}  // namespace ingot::builder::detail
