#include <algorithm>
#include <charconv>

#include "choice.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

/// RFC 7638 with SHA-256: 32 bytes as base64url without padding. tang and clevis know SHA-1 as well; we do not.
constexpr std::size_t thumbprint_length = 43;
constexpr std::string_view base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view scheme = "http://";

constexpr auto tpm = KeyProvider::tpm, tang = KeyProvider::tang, file = KeyProvider::file;

/// The words of `key`; providers in the order of their shares.
using KeyChoices = Choice<std::vector<KeyProvider>>[5];
const KeyChoices& key_choices() {
  static const KeyChoices choices = {
      {"tpm", {tpm}}, {"tang", {tang}}, {"file", {file}}, {"tpm+tang", {tpm, tang}}, {"tpm+file", {tpm, file}}};
  return choices;
}

bool asks_server(const Volume& volume) { return volume.is_held_by(tang); }

/// What puts the shares of a key together, and what each provider is written with. The TPM alone needs none of it.
Result<void> check_key_packages(const Draft& draft) {
  for (const auto& volume : draft.profile.volumes) {
    if (volume.key == std::vector{tpm}) continue;
    std::vector<std::string_view> needed = {"cryptsetup-bin"};
    if (volume.is_held_by(tang)) needed.emplace_back("clevis");
    if (volume.is_held_by(file)) needed.emplace_back("jose");
    if (volume.is_held_by(tpm)) needed.emplace_back("tpm2-tools");
    for (const auto& choice : key_choices())
      if (choice.value == volume.key)
        TRY(check_packages(draft, volume.at, fmt::format("key = \"{}\" of volume \"{}\"", choice.name, volume.name),
                           needed));
  }
  return {};
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  return code == std::errc{} && end == text.data() + text.size() && port != 0;
}

/// The host of "http://10.0.0.1", "http://10.0.0.1:7500" or "http://[fd00::1]:7500", and of no other text: no path and
/// no trailing slash, to which clevis would add its own.
std::optional<IpAddress> address_of(std::string_view url) {
  if (!url.starts_with(scheme)) return std::nullopt;
  auto host = url.substr(scheme.size());
  const bool is_bracketed = host.starts_with('[');
  const auto end = is_bracketed ? host.find(']') : host.find(':');
  if (is_bracketed && end == std::string_view::npos) return std::nullopt;
  auto rest = end == std::string_view::npos ? std::string_view() : host.substr(is_bracketed ? end + 1 : end);
  host = is_bracketed ? host.substr(1, end - 1) : host.substr(0, end);
  if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return std::nullopt;
  const auto address = IpAddress::parse(host);
  if (!address || (address->family == IpFamily::v6) != is_bracketed) return std::nullopt;
  return address;
}

/// The role's plane that the address is on, else the one with a zone that has it behind its gateways; null without any.
const SitePlane* plane_to(const Site& site, const SiteRole& role, const IpAddress& address) {
  for (const auto& plane : site.planes) {
    const auto has = [&](const IpPrefix& subnet) { return subnet.contains(address); };
    if (role.on(plane.name) != nullptr && std::any_of(plane.subnets.begin(), plane.subnets.end(), has)) return &plane;
  }
  for (const auto& zone : site.zones) {
    const auto addresses = addresses_on(site, zone.name, zone.plane);
    const auto has = [&](const IpRange& range) { return range.contains(address); };
    if (role.on(zone.plane) != nullptr && std::any_of(addresses.begin(), addresses.end(), has))
      return site.plane(zone.plane);
  }
  return nullptr;
}

}  // namespace

Result<void> apply_volume_key(Volume& volume, const TableReader& table) {
  if (const auto key = TRY(choose(table, "key", key_choices()))) volume.key = key->value;
  return {};
}

Result<void> apply_key_server(Draft& draft, const TableReader& table) {
  TRY(table.only({"url", "thumbprint"}));
  if (!draft.profile.key_server) draft.profile.key_server.emplace();
  auto& server = *draft.profile.key_server;
  server.at = table.at();
  if (const auto url = TRY(table.text("url"))) {
    if (!address_of(url->value))
      return wrong(
          url->at, fmt::format("url is \"{}\", expected http:// with an address and nothing behind it", url->value),
          "write \"http://10.0.0.1\", \"http://10.0.0.1:7500\" or \"http://[fd00::1]\": the initrd knows no names, "
          "and tang's answers are worth nothing to who reads them");
    server.url = url->value;
  }
  if (const auto print = TRY(table.text("thumbprint"))) {
    if (print->value.size() != thumbprint_length || print->value.find_first_not_of(base64url) != std::string::npos)
      return wrong(print->at,
                   fmt::format("thumbprint is \"{}\", expected {} letters, digits, - and _ (SHA-256, base64url)",
                               print->value, thumbprint_length),
                   "ask the server's own console: tang-show-keys PORT");
    server.thumbprint = print->value;
  }
  return {};
}

Result<void> finish_volume_keys(Draft& draft) {
  TRY(check_key_packages(draft));
  auto& profile = draft.profile;
  const auto asking = std::find_if(profile.volumes.begin(), profile.volumes.end(), asks_server);
  if (asking == profile.volumes.end()) {
    profile.key_server.reset();  // of a base that others extend, too
    return {};
  }
  if (!profile.key_server)
    return wrong(asking->at,
                 fmt::format("the key of volume \"{}\" is on a key server, and there is none", asking->name),
                 "add [keyserver] with url and thumbprint");
  auto& server = *profile.key_server;
  for (const auto& [key, value] : {std::pair{"url", &server.url}, {"thumbprint", &server.thumbprint}})
    if (value->empty())
      return wrong(server.at, fmt::format("[keyserver] has no {}", key),
                   "url = \"http://10.0.0.1\", and the thumbprint that tang-show-keys tells on the server");
  const auto* role = profile.site_role();
  if (role == nullptr)
    return wrong(server.at, "a node without a site has no network, so it reaches no key server",
                 "add site = \"site.toml\", or take key = \"tpm\"");
  const auto address = address_of(server.url);
  const auto* plane = address ? plane_to(*profile.site, *role, *address) : nullptr;
  if (plane == nullptr)
    return wrong(server.at, fmt::format("no plane of the role {} leads to {}", role->name, server.url),
                 fmt::format("put the server into a subnet or a zone of {}", profile.site->path));
  if (plane->kind == PlaneKind::vxlan || plane->addressing != Addressing::dhcp)
    return wrong(
        server.at,
        fmt::format("{} is reached over the plane {}, on which nodes have addresses that the initrd does not know",
                    server.url, plane->name),
        fmt::format("set addressing = \"dhcp\" for a plane that leads to it in {}: a node's own addresses may lie "
                    "on the very volume that is to be opened",
                    profile.site->path));
  server.plane = plane->name;
  return {};
}

}  // namespace ingot::builder::detail
