#include <algorithm>
#include <charconv>

#include "choice.hpp"
#include "network.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

/// "unix:/run/model/server.sock", "127.0.0.1:8000" or "[::1]:8000".
Result<Proxy::Upstream> parse_upstream(const Located<std::string>& text) {
  const auto bad = [&] {
    return wrong(text.at, fmt::format("upstream is \"{}\", expected an address with its port or a socket", text.value),
                 "write \"127.0.0.1:8000\", \"[::1]:8000\" or \"unix:/run/model/server.sock\"");
  };
  Proxy::Upstream out;
  if (text.value.starts_with("unix:")) {
    out.socket = text.value.substr(5);
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
    constexpr std::size_t longest = 107;  // sun_path without its NUL, unix(7)
    if (!out.socket.starts_with('/') || out.socket.size() > longest ||
        out.socket.find_first_not_of(allowed) != std::string::npos)
      return bad();
    return out;
  }
  const auto colon = text.value.rfind(':');
  if (colon == std::string::npos) return bad();
  const std::string_view port = std::string_view(text.value).substr(colon + 1);
  auto host = text.value.substr(0, colon);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  out.address = IpAddress::parse(is_bracketed ? host.substr(1, host.size() - 2) : host);
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (!out.address || (out.address->family == IpFamily::v6) != is_bracketed || code != std::errc{} ||
      end != port.data() + port.size() || out.port == 0)
    return bad();
  return out;
}

Result<void> read_number(unsigned& into, const TableReader& table, std::string_view key, std::int64_t most) {
  if (const auto number = TRY(table.integer(key, 1, most))) into = static_cast<unsigned>(number->value);
  return {};
}

/// The role whose node has the address, and the plane it has it on.
std::pair<const SiteRole*, const SitePlane*> owner_of(const Site& site, const IpAddress& address) {
  for (const auto& role : site.roles)
    for (const auto& member : role.planes)
      if (std::any_of(member.addresses.begin(), member.addresses.end(),
                      [&](const IpRange& range) { return range.contains(address); }))
        return {&role, site.plane(member.plane)};
  return {nullptr, nullptr};
}

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool opens(const SiteFlow& flow, const FlowPort& port) {
  return std::any_of(flow.ports.begin(), flow.ports.end(), [&](const FlowPort& one) { return overlap(one, port); });
}

/// Nobody but the proxy's role has a way to the model server.
Result<void> check_no_way_past(const Site& site, const SiteRole& proxy, const SiteRole& server, const FlowPort& port) {
  for (const auto& flow : site.flows) {
    if (!has(flow.to, server.name) || !opens(flow, port)) continue;
    for (const auto& from : flow.from)
      if (from != proxy.name || &server == &proxy)
        return wrong(flow.at,
                     fmt::format("the flow {} lets {} reach the model server of {} ({}) without its proxy", flow.name,
                                 from, proxy.name, to_text(port)),
                     "take the port out of the flow");
  }
  return {};
}

Result<void> check_upstream(const NetworkDraft& draft, const Site& site, const SiteRole& role) {
  const auto& upstream = draft.proxy.value.upstream;
  if (!upstream.address) return {};
  const FlowPort port{FlowProtocol::tcp, upstream.port, upstream.port};
  if (is_loopback(*upstream.address)) return check_no_way_past(site, role, role, port);
  const auto [owner, plane] = owner_of(site, *upstream.address);
  if (owner == nullptr || owner == &role)
    return wrong(draft.upstream_at,
                 fmt::format("the upstream {} is {}", to_text(*upstream.address),
                             owner == nullptr ? "no node of the site" : "a node of the proxy's own role"),
                 "use a loopback address, or one of another role on a plane of both");
  const auto reaches = [&, to = owner, over = plane](const SiteFlow& flow) {
    return flow.plane == over->name && has(flow.from, role.name) && has(flow.to, to->name) && opens(flow, port);
  };
  if (std::none_of(site.flows.begin(), site.flows.end(), reaches))
    return wrong(draft.upstream_at,
                 fmt::format("no flow lets {} reach its upstream at {} over {} ({})", role.name, owner->name,
                             plane->name, to_text(port)),
                 fmt::format("add one to {}", site.path));
  return check_no_way_past(site, role, *owner, port);
}

}  // namespace

Result<void> apply_proxy(NetworkDraft& draft, const TableReader& table) {
  TRY(table.only({"plane", "port", "server_name", "upstream", "rate", "burst", "connections", "body_size", "timeout"}));
  auto& proxy = draft.proxy.value;
  draft.proxy.at = table.at();
  draft.has_proxy = true;
  if (const auto plane = TRY(table.text("plane"))) {
    proxy.plane = plane->value;
    draft.plane_at = plane->at;
  }
  if (const auto name = TRY(table.text("server_name"))) {
    if (name->value.empty() || name->value.size() > 253 ||
        name->value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos)
      return wrong(name->at, fmt::format("server_name is \"{}\", expected a host name, or \"_\" for any", name->value));
    proxy.server_name = name->value;
  }
  if (const auto upstream = TRY(table.text("upstream"))) {
    proxy.upstream = TRY(parse_upstream(*upstream));
    draft.upstream_at = upstream->at;
  }
  if (const auto port = TRY(table.integer("port", 1, 65535))) proxy.port = static_cast<std::uint16_t>(port->value);
  TRY(read_number(proxy.rate, table, "rate", 100'000));
  TRY(read_number(proxy.burst, table, "burst", 100'000));
  TRY(read_number(proxy.connections, table, "connections", 65'535));
  TRY(read_number(proxy.timeout_seconds, table, "timeout", 86'400));
  if (const auto size = TRY(table.size("body_size"))) {
    if (size->value == 0 || size->value > (std::uint64_t{16} << 30))  // nginx takes 0 for "no limit"
      return wrong(size->at, fmt::format("body_size is {} bytes, expected 1 to 16 GiB", size->value));
    proxy.body_size_bytes = size->value;
  }
  return {};
}

Result<void> check_proxy(const NetworkDraft& draft, const Site& site, const SiteRole& role) {
  const auto& proxy = draft.proxy.value;
  for (const auto& [key, is_missing] : {std::pair{"plane", proxy.plane.empty()},
                                        {"server_name", proxy.server_name.empty()},
                                        {"upstream", proxy.upstream.socket.empty() && !proxy.upstream.address}})
    if (is_missing)
      return wrong(draft.proxy.at, fmt::format("[proxy] has no {}", key), fmt::format("add {} = \"...\"", key));
  if (role.on(proxy.plane) == nullptr) {
    std::vector<std::string_view> planes;
    for (const auto& member : role.planes) planes.push_back(member.plane);
    return wrong(draft.plane_at,
                 fmt::format("the proxy listens on \"{}\", and the role {} is on {}", proxy.plane, role.name,
                             quoted_list(planes)),
                 suggestion(proxy.plane, planes));
  }
  const FlowPort port{FlowProtocol::tcp, proxy.port, proxy.port};
  const auto lets_in = [&](const SiteFlow& flow) {
    return flow.plane == proxy.plane && has(flow.to, role.name) && opens(flow, port);
  };
  if (std::none_of(site.flows.begin(), site.flows.end(), lets_in))
    return wrong(
        draft.plane_at,
        fmt::format("no flow lets anybody reach the proxy of {} on {} ({})", role.name, proxy.plane, to_text(port)),
        fmt::format("add one to {}", site.path));
  return check_upstream(draft, site, role);
}

}  // namespace ingot::builder::detail
