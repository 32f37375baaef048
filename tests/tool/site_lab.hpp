// A site as network namespaces: two nodes of each role, and on each plane a node without rules that plays everybody
// else. Every interface has the name that its plane gives it, so that the roles' own rulesets apply.
#pragma once

#include "ingot/builder/network.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/builder/segment.hpp"
#include "network_lab.hpp"

namespace ingot::test {

class SiteLab {
 public:
  static constexpr int nodes_a_role = 2;

  explicit SiteLab(const std::string& site_path) : site(builder::load_site(site_path).value()) {
    for (const auto& role : site.roles)
      for (int i = 0; i < nodes_a_role; ++i) lab.add_node(node(role.name, i));
    for (const auto& plane : site.planes) lab.add_node(world(plane.name));
    for (const auto& plane : site.planes)
      if (plane.kind != PlaneKind::vxlan) connect(plane);
    for (const auto& plane : site.planes)
      if (plane.kind == PlaneKind::vxlan) overlay(plane);
    for (const auto& role : site.roles) load(role.name, builder::nftables_ruleset(site, role));
  }

  [[nodiscard]] static std::string node(const std::string& role, int index) { return fmt::format("{}{}", role, index); }
  [[nodiscard]] static std::string world(const std::string& plane) { return "world-" + plane; }
  [[nodiscard]] bool is_role(const std::string& name) const { return site.role(name) != nullptr; }

  /// The same ruleset on all nodes of a role.
  void load(const std::string& role, const std::string& ruleset) {
    for (int i = 0; i < nodes_a_role; ++i) rulesets[role] = lab.load(node(role, i), ruleset);
  }

  [[nodiscard]] check::Topology topology() const { return builder::topology_of(site, rulesets).value(); }

  /// The address of a role's node on a plane; nothing without one of that family.
  [[nodiscard]] std::optional<IpAddress> address(const std::string& role, const std::string& plane, IpFamily family,
                                                 int index) const {
    for (const auto& range : addresses_on(site, role, plane)) {
      if (range.family() != family) continue;
      auto out = range.first;
      for (int i = 0; i < index; ++i) out = next(out).value();
      return out;
    }
    return std::nullopt;
  }

  /// Where a zone's people are in the lab: the gateway, or the first of its addresses.
  [[nodiscard]] std::optional<IpAddress> zone_address(const SiteZone& zone, IpFamily family) const {
    for (const auto& gateway : site.plane(zone.plane)->gateways)
      if (gateway.family == family) return gateway;
    for (const auto& range : addresses_on(site, zone.name, zone.plane))
      if (range.family() == family) return range.first;
    return std::nullopt;
  }

  /// A witness as a probe: from a node that plays the sender to one that has the destination.
  nlohmann::json probe(const check::Step& step) {
    const auto& packet = step.packet;
    auto from = is_role(step.from) ? owner(step.from, packet.source) : world(step.segment);
    if (!step.note.empty()) from = world(site.plane(step.segment)->underlay);
    const auto to = is_role(step.to) ? owner(step.to, packet.destination) : world(step.segment);
    // Nodes beyond the two, and everybody else: whoever is asked for gets the address, and the sender knows the way.
    const auto& interface = interface_name(*site.plane(step.segment));
    const bool v6 = packet.destination.family == IpFamily::v6;
    const auto target = fmt::format("{}/{}", to_text(packet.destination), v6 ? 128 : 32);
    if (is_role(step.to) && !is_owned(step.to, packet.destination))
      lab.ip(to, {fmt::format("addr replace {} dev {} {}", target, interface, v6 ? "nodad" : "")});
    const auto neighbour = fmt::format("{} dev {}", to_text(packet.destination), interface);
    if (!is_role(from_role(step))) lab.ip(from, {fmt::format("route replace {} dev {}", target, interface)});
    lab.ip(from, {fmt::format("neigh replace {} lladdr {} nud permanent", neighbour, mac(to, interface))});
    if (is_role(step.from)) cleaning_.emplace(from, "neigh del " + neighbour);
    return raw_probe(from, to, packet);
  }

  /// Undoes what probe() told nodes of their neighbours, and lets them forget the rest.
  void forget_neighbours() {
    for (const auto& [name, line] : cleaning_) lab.ip(name, {line});
    cleaning_.clear();
    for (const auto& role : site.roles)
      for (int i = 0; i < nodes_a_role; ++i) lab.ip(node(role.name, i), {"neigh flush all"});
  }

  Site site;
  NetworkLab lab;
  builder::Rulesets rulesets;

 private:
  [[nodiscard]] static std::string from_role(const check::Step& step) { return step.note.empty() ? step.from : ""; }
  [[nodiscard]] bool is_owned(const std::string& role, const IpAddress& wanted) const {
    for (const auto& member : site.role(role)->planes)
      for (int i = 0; i < nodes_a_role; ++i)
        if (address(role, member.plane, wanted.family, i) == wanted) return true;
    return false;
  }
  [[nodiscard]] std::string owner(const std::string& role, const IpAddress& wanted) const {
    for (const auto& member : site.role(role)->planes)
      for (int i = 0; i < nodes_a_role; ++i)
        if (address(role, member.plane, wanted.family, i) == wanted) return node(role, i);
    return node(role, 0);
  }

  /// The same for all interfaces of a node: it is another one's only on other planes.
  [[nodiscard]] std::string mac(const std::string& of, const std::string& interface) {
    auto& known = macs_[of + " " + interface];
    if (known.empty()) known = fmt::format("02:00:00:00:{:02x}:{:02x}", macs_.size() / 256, macs_.size() % 256);
    return known;
  }

  void set_mac(const std::string& of, const std::string& interface) {
    lab.ip(of, {fmt::format("link set {} down", interface),
                fmt::format("link set {} address {}", interface, mac(of, interface)),
                fmt::format("link set {} up", interface)});
  }

  void add_addresses(const SitePlane& plane) {
    for (const auto& role : site.roles)
      for (int i = 0; role.on(plane.name) != nullptr && i < nodes_a_role; ++i)
        for (const auto family : {IpFamily::v4, IpFamily::v6})
          if (const auto own = address(role.name, plane.name, family, i))
            for (const auto& subnet : plane.subnets)
              if (subnet.contains(*own))
                lab.ip(node(role.name, i), {fmt::format("addr add {}/{} dev {} {}", to_text(*own), subnet.length,
                                                        interface_name(plane), family == IpFamily::v6 ? "nodad" : "")});
  }

  /// Everybody else takes every packet, may send from any address, and knows all nodes.
  void make_world(const SitePlane& plane) {
    const auto& interface = interface_name(plane);
    const auto name = world(plane.name);
    std::vector<std::string> lines = {"route add local default dev lo", "-6 route add local default dev lo"};
    for (const auto& subnet : plane.subnets)
      lines.push_back(fmt::format("{}route replace {} dev {}", subnet.family() == IpFamily::v6 ? "-6 " : "",
                                  to_text(subnet), interface));
    for (const auto& zone : site.zones)
      for (const auto family : {IpFamily::v4, IpFamily::v6})
        if (const auto own = zone_address(zone, family); own && zone.plane == plane.name)
          lines.push_back(fmt::format("addr add {}/{} dev {} {}", to_text(*own), address_bits(family), interface,
                                      family == IpFamily::v6 ? "nodad" : ""));
    for (const auto& role : site.roles)
      for (int i = 0; role.on(plane.name) != nullptr && i < nodes_a_role; ++i)
        for (const auto family : {IpFamily::v4, IpFamily::v6})
          if (const auto other = address(role.name, plane.name, family, i))
            lines.push_back(fmt::format("neigh replace {} lladdr {} dev {} nud permanent", to_text(*other),
                                        mac(node(role.name, i), interface), interface));
    // The table of local addresses comes first: what is everybody's must not be found in it when it is sent.
    lines.insert(lines.begin(), {"rule add pref 10 iif lo lookup main", "-6 rule add pref 10 iif lo lookup main"});
    lines.insert(lines.begin() + 2, {"rule add pref 20 lookup local", "-6 rule add pref 20 lookup local",
                                     "rule del pref 0", "-6 rule del pref 0"});
    lab.ip(name, lines);
    // Its own addresses only, or it would answer for the nodes, too.
    // Every source is local to it, too.
    lab.inside(name, {"sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.accept_local=1"});
  }

  void connect(const SitePlane& plane) {
    const auto& interface = interface_name(plane);
    for (const auto& role : site.roles)
      for (int i = 0; role.on(plane.name) != nullptr && i < nodes_a_role; ++i) {
        lab.connect(node(role.name, i), interface, plane.name, {});
        set_mac(node(role.name, i), interface);
      }
    lab.connect(world(plane.name), interface, plane.name, {});
    set_mac(world(plane.name), interface);
    add_addresses(plane);
    for (const auto& role : site.roles)
      for (int i = 0; role.on(plane.name) != nullptr && i < nodes_a_role; ++i)
        for (const auto& gateway : plane.gateways)
          lab.ip(node(role.name, i),
                 {fmt::format("{}route add default via {} dev {} onlink", gateway.family == IpFamily::v6 ? "-6 " : "",
                              to_text(gateway), interface)});
    make_world(plane);
  }

  void vxlan(const SitePlane& plane, const std::string& of, const IpAddress& own) {
    const auto& interface = interface_name(plane);
    lab.ip(of, {fmt::format("link add {} address {} type vxlan id {} dstport {} local {} nolearning", interface,
                            mac(of, interface), plane.id, plane.port, to_text(own)),
                fmt::format("link set {} mtu 1400 up", interface)});
    for (const auto& vtep : plane.vteps)
      if (vtep != own)
        lab.inside(of, {"bridge", "fdb", "append", "00:00:00:00:00:00", "dev", interface, "dst", to_text(vtep)});
  }

  /// Everybody else on an overlay is another of its VTEPs; everybody else on the underlay is a rogue one, from a subnet
  /// of its own.
  void overlay(const SitePlane& plane) {
    for (const auto& role : site.roles)
      for (int i = 0; role.on(plane.name) != nullptr && i < nodes_a_role; ++i)
        vxlan(plane, node(role.name, i), address(role.name, plane.underlay, plane.vteps.front().family, i).value());
    add_addresses(plane);
    const auto& below = interface_name(*site.plane(plane.underlay));
    lab.connect(world(plane.name), below, plane.underlay, {fmt::format("{}/24", to_text(plane.vteps.at(2)))});
    vxlan(plane, world(plane.name), plane.vteps.at(2));
    make_world(plane);
    for (const auto& vtep : plane.vteps)
      lab.ip(world(plane.name), {fmt::format("route replace {} dev {}", to_text(vtep), below)});
    const auto rogue = IpAddress::parse("10.9.0.5").value();
    lab.ip(world(plane.underlay), {fmt::format("addr add {}/32 dev {}", to_text(rogue), below)});
    vxlan(plane, world(plane.underlay), rogue);
    for (const auto& subnet : plane.subnets)
      lab.ip(world(plane.underlay),
             {fmt::format("{}route replace {} dev {}", subnet.family() == IpFamily::v6 ? "-6 " : "", to_text(subnet),
                          interface_name(plane))});
  }

  std::set<std::pair<std::string, std::string>> cleaning_;
  std::map<std::string, std::string> macs_;
};

}  // namespace ingot::test
