// What listens on a node, for the baseline: any other socket is a finding. The site's flows are most of it: where
// others may connect, something may listen.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/model/services.hpp"
#include "parts.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint16_t dhcp_client_port = 68;     // RFC 2131
constexpr std::uint16_t dhcpv6_client_port = 546;  // RFC 8415
constexpr std::string_view firewall_file = "/etc/nftables.conf";

/// It need not be there: that its service runs is a setting of its own, and when that has opened its socket is not
/// known.
void allow(ConfigPart& part, std::string socket, std::string_view file, std::string source) {
  part.settings.push_back(
      {SettingArea::socket, std::move(socket), "allowed", std::string(file), std::move(source), ""});
}

/// From where a program asks that does not connect() its UDP socket: its port is any of those that the kernel gives.
std::string ephemeral_ports(const Profile& profile) {
  for (const auto& setting : chosen_settings(profile.hardening, SettingArea::sysctl))
    if (setting.name == "net.ipv4.ip_local_port_range")
      if (const auto space = setting.value.find_first_of(" \t"); space != std::string::npos)
        return fmt::format("{}-{}", setting.value.substr(0, space), setting.value.substr(space + 1));
  return "32768-60999";  // the kernel's own range
}

/// Ports of services that Ingot itself sets up: where this profile has the service it has rows of its own, and where it
/// has not, nobody listens there although the site would let others connect.
bool is_of_ingot(const Profile& profile, const FlowPort& port) {
  const auto is = [&](std::uint16_t number) { return port == FlowPort{FlowProtocol::tcp, number, number}; };
  return is(ssh_port) || is(profile.shipping.port) || is(profile.shipping.sudo_port) ||
         (profile.proxy && is(profile.proxy->port));
}

void add_flows(ConfigPart& part, const Profile& profile, const SiteRole& role) {
  for (const auto& flow : profile.site->flows) {
    if (std::find(flow.to.begin(), flow.to.end(), role.name) == flow.to.end()) continue;
    for (const auto& port : flow.ports) {
      if (port.protocol == FlowProtocol::icmp || is_of_ingot(profile, port)) continue;
      const auto ports =
          port.first == port.last ? fmt::format("{}", port.first) : fmt::format("{}-{}", port.first, port.last);
      allow(part, fmt::format("{} *:{}", port.protocol == FlowProtocol::tcp ? "tcp" : "udp", ports), firewall_file,
            fmt::format("site, flow {}", flow.name));
    }
  }
}

/// The kernel itself listens for overlays, networkd where a plane's addresses are leased.
void add_planes(ConfigPart& part, const Site& site, const SiteRole& role) {
  for (const auto& plane : site.planes) {
    if (role.on(plane.name) == nullptr) continue;
    const auto source = fmt::format("site, plane {}", plane.name);
    const auto file = fmt::format("/etc/systemd/network/{}-{}.network", plane.kind == PlaneKind::plain ? 20 : 30,
                                  interface_name(plane));
    if (plane.kind == PlaneKind::vxlan)  // one socket, of the family of the underlay (Linux, drivers/net/vxlan)
      allow(part, fmt::format("udp {}:{}", plane.vteps.front().family == IpFamily::v4 ? "0.0.0.0" : "[::]", plane.port),
            file, source);
    if (plane.addressing != Addressing::dhcp) continue;
    for (const auto& subnet : plane.subnets)
      allow(part, fmt::format("udp *:{}", subnet.family() == IpFamily::v4 ? dhcp_client_port : dhcpv6_client_port),
            file, source);
  }
}

void add_proxy(ConfigPart& part, const Proxy& proxy) {
  constexpr std::string_view file = "/etc/nginx/nginx.conf";
  for (const auto* host : {"0.0.0.0", "[::]"})
    allow(part, fmt::format("tcp {}:{}", host, proxy.port), file, "profile [proxy]");
  const auto& upstream = proxy.upstream;
  if (!upstream.address || !is_loopback(*upstream.address)) return;
  const bool is_ipv6 = upstream.address->family == IpFamily::v6;
  allow(part,
        fmt::format("tcp {}{}{}:{}", is_ipv6 ? "[" : "", to_text(*upstream.address), is_ipv6 ? "]" : "", upstream.port),
        file, "profile [proxy]: the model server");
}

void add_time(ConfigPart& part, const Profile& profile, const Tree& tree) {
  if (tree.resolve("/usr/sbin/chronyd") != nullptr) {
    // Its own questions leave by connected sockets.
    if (!profile.time.serves.empty())
      allow(part, fmt::format("udp *:{}", ntp_port), "/etc/chrony/chrony.conf", "profile [time]");
  } else if (!profile.time.servers.empty() && tree.resolve("/usr/lib/systemd/systemd-timesyncd") != nullptr) {
    allow(part, fmt::format("udp *:{}", ephemeral_ports(profile)), "/etc/systemd/timesyncd.conf.d/ingot.conf",
          "profile [time]");
  }
}

void add_relaxed(ConfigPart& part, const Hardening& hardening) {
  for (const auto& [name, relaxed] : hardening.relaxed)
    if (name.starts_with(socket_prefix))
      part.settings.push_back({SettingArea::socket, name.substr(socket_prefix.size()), relaxed.value.value_or(""), "",
                               "profile [hardening.relax]", relaxed.why});
}

/// Twice the same row says no more than once: of the sources, the first.
void drop_repeated(std::vector<Setting>& settings) {
  std::vector<Setting> once;
  for (auto& setting : settings)
    if (std::none_of(once.begin(), once.end(), [&](const Setting& other) { return other.name == setting.name; }))
      once.push_back(std::move(setting));
  settings = std::move(once);
}

}  // namespace

ConfigPart render_listening(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  if (profile.ssh.enabled)
    for (const auto* host : {"0.0.0.0", "[::]"})  // systemd waits until sshd says that it listens
      part.settings.push_back({SettingArea::socket, fmt::format("tcp {}:{}", host, ssh_port), "listening",
                               "/etc/ssh/sshd_config", "profile [ssh]", ""});
  if (profile.proxy) add_proxy(part, *profile.proxy);
  add_time(part, profile, tree);
  if (const auto* role = profile.site_role()) {
    add_planes(part, *profile.site, *role);
    add_flows(part, profile, *role);
  }
  add_relaxed(part, profile.hardening);
  drop_repeated(part.settings);
  return part;
}

}  // namespace ingot::builder
