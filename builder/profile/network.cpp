#include "network.hpp"

#include <algorithm>
#include <filesystem>

#include "choice.hpp"
#include "ingot/builder/profile.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

constexpr Choice<BondMode> modes[] = {{"802.3ad", BondMode::lacp}, {"active-backup", BondMode::active_backup}};

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = std::string_view("0123456789abcdef").find(text[i]) != std::string_view::npos;
    if (i % 3 == 2 ? text[i] != ':' : !is_digit) return false;
  }
  return true;
}

/// Part of a unit file's line: no blanks, nothing that systemd expands.
Result<void> read_match(std::string& into, const TableReader& table, std::string_view key) {
  const auto text = TRY(table.text(key));
  if (!text) return {};
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:*?-";
  if (text->value.empty() || text->value.find_first_not_of(allowed) != std::string::npos)
    return wrong(text->at,
                 fmt::format("{} is \"{}\", expected letters, digits, and any of _ . : - * ?", key, text->value));
  into = text->value;
  return {};
}

Result<NetworkLink> read_link(const NamedTable& named) {
  const auto& [name, table] = named;
  TRY(check_site_name(name, "link's"));
  TRY(table.only({"mac", "path", "driver", "kernel", "bond", "mode"}));
  NetworkLink link;
  link.name = name.value;
  if (const auto mac = TRY(table.text("mac"))) {
    if (!is_mac(mac->value))
      return wrong(mac->at, fmt::format("mac is \"{}\", expected such as \"52:54:00:12:34:56\"", mac->value));
    link.mac = mac->value;
  }
  TRY(read_match(link.path, table, "path"));
  TRY(read_match(link.driver, table, "driver"));
  TRY(read_match(link.kernel, table, "kernel"));
  if (const auto members = TRY(table.texts("bond"))) {
    for (const auto& member : *members) {
      TRY(check_site_name(member, "link's"));
      link.bond.push_back(member.value);
    }
    if (link.bond.size() < 2) return wrong(table.at("bond"), "a bond has two members or more");
  }
  const bool matches = !(link.mac.empty() && link.path.empty() && link.driver.empty() && link.kernel.empty());
  if (matches == !link.bond.empty())
    return wrong(
        name.at,
        fmt::format("the link {} has {}", link.name, matches ? "a match and members" : "neither a match nor members"),
        "give one of mac, path, driver and kernel, or else bond = [\"...\", \"...\"]");
  if (const auto mode = TRY(choose(table, "mode", modes))) {
    if (link.bond.empty()) return wrong(mode->at, fmt::format("the link {} has a mode, and is no bond", link.name));
    link.mode = mode->value;
  }
  return link;
}

/// Members exist, are no bonds and belong to one bond.
Result<void> check_bonds(const NetworkDraft& draft) {
  std::map<std::string, std::string> owner;
  for (const auto& [name, link] : draft.links)
    for (const auto& member : link.value.bond) {
      const auto found = draft.links.find(member);
      if (found == draft.links.end() || !found->second.value.bond.empty())
        return wrong(link.at,
                     fmt::format("the bond {} has the member {}, which is {}", name, member,
                                 found == draft.links.end() ? "no link" : "a bond itself"),
                     fmt::format("add [network.links.{}] with what tells the card", member));
      if (const auto [at, is_new] = owner.emplace(member, name); !is_new)
        return wrong(link.at, fmt::format("{} is a member of {} and of {}", member, at->second, name));
    }
  return {};
}

Result<void> check_links(const NetworkDraft& draft, const Site& site, const SiteRole& role) {
  for (const auto& member : role.planes) {
    const auto& plane = *site.plane(member.plane);
    if (plane.kind == PlaneKind::vxlan || draft.links.contains(plane.link)) continue;
    return wrong(draft.role_at,
                 fmt::format("the role {} is on the plane {}, and the profile does not say which card is "
                             "its link {}",
                             role.name, plane.name, plane.link),
                 fmt::format("add [network.links.{}] with mac, path, driver, kernel or bond", plane.link));
  }
  for (const auto& plane : site.planes)
    if (const auto found = draft.links.find(plane.name); found != draft.links.end() && plane.kind != PlaneKind::plain)
      return wrong(found->second.at, fmt::format("the link {} has the name of a plane", plane.name),
                   "both would be names of interfaces");
  return {};
}

}  // namespace

Result<void> apply_network(NetworkDraft& draft, const TableReader& top, const std::string& folder) {
  if (top.has("role")) draft.role_at = top.at("role");
  if (const auto site = TRY(top.text("site"))) {
    if (site->value.empty() || site->value.find('\0') != std::string::npos)
      return wrong(site->at, "site is not a path");
    draft.site = {(std::filesystem::path(folder) / site->value).lexically_normal().string(), site->at};
  }
  if (const auto network = TRY(top.table("network"))) {
    TRY(network->only({"links"}));
    for (const auto& named : TRY(network->named_tables("links"))) {
      auto link = TRY(read_link(named));
      draft.links.insert_or_assign(link.name, Located<NetworkLink>{link, named.name.at});
    }
  }
  if (const auto proxy = TRY(top.table("proxy"))) TRY(apply_proxy(draft, *proxy));
  return {};
}

Result<void> finish_network(const NetworkDraft& draft, Profile& profile) {
  TRY(check_bonds(draft));
  for (const auto& [name, link] : draft.links) profile.links.push_back(link.value);
  if (!draft.site) {
    if (draft.has_proxy)
      return wrong(draft.proxy.at, "the profile has a proxy and no site: nobody could reach it",
                   "add site = \"site.toml\"");
    return {};
  }
  auto site = load_site(draft.site->value);
  if (!site && !site.error().at)
    return wrong(draft.site->at, fmt::format("site \"{}\": {}", draft.site->value, site.error().message));
  if (!site) return fail(std::move(site).error());
  const auto* role = site->role(profile.role);
  if (role == nullptr)
    return wrong(draft.role_at, fmt::format("the role \"{}\" is not one of {}", profile.role, draft.site->value),
                 suggestion(profile.role, names_of(site->roles)));
  TRY(check_links(draft, *site, *role));
  if (draft.has_proxy) {
    TRY(check_proxy(draft, *site, *role));
    profile.proxy = draft.proxy.value;
  }
  profile.sources.push_back(draft.site->value);
  profile.site = *std::move(site);
  return {};
}

}  // namespace ingot::builder::detail
