#include <algorithm>

#include "choice.hpp"
#include "site.hpp"

namespace ingot::builder::detail {
namespace {

constexpr Choice<PlaneKind> kinds[] = {
    {"plain", PlaneKind::plain}, {"vlan", PlaneKind::vlan}, {"vxlan", PlaneKind::vxlan}};
constexpr Choice<Addressing> addressings[] = {{"node", Addressing::node}, {"dhcp", Addressing::dhcp}};

// RFC 8200 "Packet Size Issues" asks for 1280 on every IPv6 link; 9216 is what switches carry as jumbo frames.
constexpr std::int64_t mtu_least = 1280;
constexpr std::int64_t mtu_most = 9216;

/// A plane while it is checked: where each of its parts stands in the text.
struct PlaneText {
  SitePlane plane;
  std::vector<Located<IpPrefix>> subnets;
  std::vector<Located<IpAddress>> vteps;
  TextLocation id_at, mtu_at, link_at, underlay_at;
};

std::optional<std::string_view> special_use(const IpPrefix& subnet) {
  constexpr std::pair<std::string_view, std::string_view> special[] = {{"0.0.0.0/8", "\"this network\""},
                                                                       {"127.0.0.0/8", "loopback"},
                                                                       {"169.254.0.0/16", "link-local"},
                                                                       {"224.0.0.0/3", "multicast or reserved"},
                                                                       {"::/8", "loopback, mapped or reserved"},
                                                                       {"fe80::/10", "link-local"},
                                                                       {"ff00::/8", "multicast"}};
  for (const auto& [prefix, name] : special)
    if (overlap(*IpPrefix::parse(prefix), subnet)) return name;
  return std::nullopt;
}

Result<void> read_subnets(PlaneText& text, const TableReader& table) {
  const auto list = TRY(table.texts("subnets"));
  if (!list || list->empty())
    return wrong(table.at(), fmt::format("the plane {} has no subnets", text.plane.name),
                 "add subnets = [\"10.0.0.0/24\"], IPv6 ones beside it");
  for (const auto& one : *list) {
    const auto prefix = IpPrefix::parse(one.value);
    if (!prefix)
      return wrong(one.at, fmt::format("\"{}\" is not a subnet", one.value),
                   "write the network and its length, no host bits set: \"10.0.0.0/24\", \"fd00:1::/64\"");
    if (const auto use = special_use(*prefix))
      return wrong(one.at, fmt::format("the subnet {} is {}", one.value, *use), "use addresses that nodes may have");
    text.subnets.push_back({*prefix, one.at});
    text.plane.subnets.push_back(*prefix);
  }
  return {};
}

Result<std::vector<Located<IpAddress>>> read_addresses(const PlaneText& text, const TableReader& table,
                                                       std::string_view key) {
  std::vector<Located<IpAddress>> out;
  const auto list = TRY(table.texts(key));
  if (!list) return out;
  for (const auto& one : *list) {
    const auto address = IpAddress::parse(one.value);
    if (!address)
      return wrong(one.at, fmt::format("\"{}\" in {} of {} is not an address", one.value, key, text.plane.name));
    const auto is_same = [&](const auto& other) { return other.value == *address; };
    if (std::any_of(out.begin(), out.end(), is_same))
      return wrong(one.at, fmt::format("{} stands twice in {} of {}", one.value, key, text.plane.name));
    out.push_back({*address, one.at});
  }
  return out;
}

Result<void> read_gateways(PlaneText& text, const TableReader& table) {
  for (const auto& gateway : TRY(read_addresses(text, table, "gateways"))) {
    const auto& subnets = text.plane.subnets;
    const auto holds = [&](const IpPrefix& subnet) { return subnet.contains(gateway.value); };
    if (std::none_of(subnets.begin(), subnets.end(), holds))
      return wrong(gateway.at,
                   fmt::format("the gateway {} lies in no subnet of {}", to_text(gateway.value), text.plane.name));
    for (const auto& other : text.plane.gateways)
      if (other.family == gateway.value.family)
        return wrong(gateway.at, fmt::format("{} has two gateways of one family", text.plane.name), "keep one");
    text.plane.gateways.push_back(gateway.value);
  }
  return {};
}

/// Keys that belong to some kinds only.
Result<void> check_keys_of_kind(const PlaneText& text, const TableReader& table) {
  const auto kind = text.plane.kind;
  const auto refuse = [&](std::string_view key, std::string_view why) {
    return wrong(table.at(key), fmt::format("the plane {} has {}, {}", text.plane.name, key, why));
  };
  if (kind != PlaneKind::vxlan)
    for (const std::string_view key : {"underlay", "port", "vteps"})
      if (table.has(key)) return refuse(key, "which only a vxlan has");
  if (kind != PlaneKind::vlan && table.has("vlan")) return refuse("vlan", "and its kind is not vlan");
  if (kind != PlaneKind::vxlan && table.has("vni")) return refuse("vni", "and its kind is not vxlan");
  if (kind == PlaneKind::vxlan && table.has("link")) return refuse("link", "but a vxlan rides on its underlay");
  return {};
}

Result<void> read_identity(PlaneText& text, const TableReader& table) {
  auto& plane = text.plane;
  if (plane.kind == PlaneKind::plain) return {};
  const bool is_vlan = plane.kind == PlaneKind::vlan;
  const std::string_view key = is_vlan ? "vlan" : "vni";
  const auto id = TRY(table.integer(key, 1, is_vlan ? 4094 : 0xffffff));
  if (!id)
    return wrong(table.at(), fmt::format("the plane {} has no {}", plane.name, key), fmt::format("add {} = ...", key));
  plane.id = static_cast<std::uint32_t>(id->value);
  text.id_at = id->at;
  return {};
}

Result<void> read_carrier(PlaneText& text, const TableReader& table) {
  auto& plane = text.plane;
  if (plane.kind != PlaneKind::vxlan) {
    plane.link = TRY(required_text(table, "link", fmt::format("the plane {}", plane.name)));
    text.link_at = table.at("link");
    return check_site_name({plane.link, text.link_at}, "link's");
  }
  plane.underlay = TRY(required_text(table, "underlay", fmt::format("the plane {}", plane.name)));
  text.underlay_at = table.at("underlay");
  plane.port = vxlan_port;
  if (const auto port = TRY(table.integer("port", 1, 65535))) plane.port = static_cast<std::uint16_t>(port->value);
  text.vteps = TRY(read_addresses(text, table, "vteps"));
  if (text.vteps.size() < 2)
    return wrong(table.at(),
                 fmt::format("the plane {} has {} VTEPs, expected two or more", plane.name, text.vteps.size()),
                 "list the underlay address of every node: vteps = [\"10.0.0.1\", \"10.0.0.2\"]");
  for (const auto& vtep : text.vteps) plane.vteps.push_back(vtep.value);
  return {};
}

Result<PlaneText> read_plane(const NamedTable& named) {
  const auto& [name, table] = named;
  TRY(check_site_name(name, "plane's"));
  TRY(table.only({"kind", "vlan", "vni", "mtu", "subnets", "gateways", "addressing", "link", "underlay", "port",
                  "vteps", "rdma"}));
  PlaneText text;
  text.plane.name = name.value;
  text.plane.at = name.at;
  const auto kind = TRY(choose(table, "kind", kinds));
  if (!kind) return wrong(table.at(), fmt::format("the plane {} has no kind", name.value), "add kind = \"vlan\"");
  text.plane.kind = kind->value;
  TRY(check_keys_of_kind(text, table));
  TRY(read_identity(text, table));
  TRY(read_subnets(text, table));
  TRY(read_gateways(text, table));
  TRY(read_carrier(text, table));
  text.mtu_at = table.has("mtu") ? table.at("mtu") : table.at();
  if (const auto mtu = TRY(table.integer("mtu", mtu_least, mtu_most)))
    text.plane.mtu = static_cast<unsigned>(mtu->value);
  if (const auto addressing = TRY(choose(table, "addressing", addressings))) text.plane.addressing = addressing->value;
  if (const auto rdma = TRY(table.boolean("rdma"))) text.plane.rdma = rdma->value;
  return text;
}

Result<void> check_pair(const PlaneText& earlier, const PlaneText& later) {
  const auto& a = earlier.plane;
  const auto& b = later.plane;
  for (const auto& subnet : later.subnets)
    for (const auto& other : a.subnets)
      if (overlap(subnet.value, other))
        return wrong(
            subnet.at,
            fmt::format("the subnet {} of {} overlaps {} of {}", to_text(subnet.value), b.name, to_text(other), a.name),
            "an address must belong to one plane");
  if (a.kind == b.kind && a.kind != PlaneKind::plain && a.id == b.id)
    return wrong(
        later.id_at,
        fmt::format("{} and {} have the same {} {}", a.name, b.name, a.kind == PlaneKind::vlan ? "vlan" : "vni", a.id),
        "two planes with one number are one network");
  if (a.kind == PlaneKind::plain && b.kind == PlaneKind::plain && a.link == b.link)
    return wrong(later.link_at, fmt::format("{} and {} both are plain on the link {}", a.name, b.name, a.link),
                 "make one of them a vlan");
  return {};
}

/// A VLAN or VXLAN is an interface of its own name, and a link is one, too.
Result<void> check_interface_names(const std::vector<PlaneText>& texts) {
  for (const auto& text : texts)
    for (const auto& other : texts)
      if (text.plane.kind != PlaneKind::plain && other.plane.link == text.plane.name)
        return wrong(text.plane.at, fmt::format("the plane {} has the name of a link", text.plane.name),
                     "both would be names of interfaces");
  return {};
}

Result<void> check_own_subnets(const PlaneText& text) {
  for (std::size_t i = 0; i < text.subnets.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(text.subnets[i].value, text.subnets[j].value))
        return wrong(text.subnets[i].at,
                     fmt::format("the subnets {} and {} of {} overlap", to_text(text.subnets[j].value),
                                 to_text(text.subnets[i].value), text.plane.name));
  return {};
}

Result<void> check_overlay(const Site& site, const PlaneText& text) {
  const auto& plane = text.plane;
  const auto* underlay = site.plane(plane.underlay);
  if (underlay == nullptr)
    return wrong(text.underlay_at,
                 fmt::format("the underlay of {} is \"{}\", which is no plane", plane.name, plane.underlay),
                 suggestion(plane.underlay, names_of(site.planes)));
  if (underlay->kind == PlaneKind::vxlan)
    return wrong(text.underlay_at, fmt::format("the underlay {} of {} is a vxlan itself", plane.underlay, plane.name),
                 "an underlay is plain or a vlan");
  for (const auto& vtep : text.vteps) {
    const auto holds = [&](const IpPrefix& subnet) { return subnet.contains(vtep.value); };
    if (std::none_of(underlay->subnets.begin(), underlay->subnets.end(), holds))
      return wrong(vtep.at,
                   fmt::format("the VTEP {} of {} lies in no subnet of its underlay {}", to_text(vtep.value),
                               plane.name, underlay->name),
                   "the list has the nodes' addresses on the underlay");
    if (vtep.value.family != plane.vteps.front().family)
      return wrong(vtep.at, fmt::format("the VTEPs of {} are of both families", plane.name),
                   "a VXLAN device sends over one of them");
  }
  const auto overhead = vxlan_overhead(plane.vteps.front().family);
  if (plane.mtu + overhead > underlay->mtu)
    return wrong(text.mtu_at,
                 fmt::format("the mtu {} of {} and {} bytes of VXLAN headers exceed the mtu {} of its underlay {}",
                             plane.mtu, plane.name, overhead, underlay->mtu, underlay->name),
                 fmt::format("use at most {}, or raise the underlay's", underlay->mtu - overhead));
  return {};
}

}  // namespace

Result<void> read_planes(Site& site, const TableReader& top) {
  std::vector<PlaneText> texts;
  for (const auto& named : TRY(top.named_tables("planes"))) {
    auto text = TRY(read_plane(named));
    TRY(check_own_subnets(text));
    texts.push_back(std::move(text));
  }
  if (texts.empty()) return wrong({top.file(), 1, 1}, "the site has no planes", "add [planes.NAME]");
  std::sort(texts.begin(), texts.end(), [](const auto& a, const auto& b) { return a.plane.at.line < b.plane.at.line; });
  for (std::size_t i = 0; i < texts.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) TRY(check_pair(texts[j], texts[i]));
  TRY(check_interface_names(texts));
  for (const auto& text : texts) site.planes.push_back(text.plane);
  for (const auto& text : texts)
    if (text.plane.kind == PlaneKind::vxlan) TRY(check_overlay(site, text));
  return {};
}

}  // namespace ingot::builder::detail
