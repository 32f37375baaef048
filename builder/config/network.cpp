#include "ingot/builder/network.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sandbox.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view wants = "/etc/systemd/system/";
constexpr std::string_view units = "/usr/lib/systemd/system/";
constexpr std::string_view closed_path = "/usr/lib/ingot/network/closed.nft";

/// Each node of a role has addresses of its own, and the image is the same: they lie on persistent storage (or, for a
/// role of one node, in /etc of the image), one a line, "PLANE ADDRESS/LENGTH". To an encrypted state nobody can add
/// the file from outside: for that there is a partition with the text alone, zeroes behind it. What the text says is
/// not trusted: the firewall lets a node send from its role's addresses alone.
constexpr std::string_view addresses_script = R"(#!/bin/sh
# ingot-network [ROOT]: this node's addresses and the peers of its overlays, as drop-ins for systemd-networkd.
set -eu
root=${1:-}
table=$root/usr/lib/ingot/network/planes
units=$root/run/systemd/network
addresses=$root/var/lib/ingot/network/addresses
[ -r "$addresses" ] || addresses=$root/etc/ingot/network/addresses
handed=$root/dev/disk/by-partlabel/addresses
if [ ! -r "$addresses" ] && [ -e "$handed" ]; then
  mkdir -p "$units"
  addresses=$root/run/systemd/ingot-addresses
  head -c 65536 "$handed" | tr -d '\000' >"$addresses"
fi
status=0

wrong() {
  echo "ingot-network: $*" >&2
  status=1
}
# add UNIT SUFFIX TEXT...: lines of a drop-in
add() {
  folder=$units/$1.d
  file=$folder/ingot-$2.conf
  shift 2
  mkdir -p "$folder"
  printf '%s\n' "$@" >>"$file"
}
# unit_of PLANE
unit_of() {
  while read -r word name unit _; do
    if [ "$word $name" = "plane $1" ]; then echo "$unit"; return; fi
  done <"$table"
}

if [ ! -s "$addresses" ]; then
  wrong "no addresses of this node in /var/lib/ingot/network/addresses, or on a partition \"addresses\"; write lines such as \"management 10.0.0.1/24\""
  exit $status
fi
rm -f "$units"/*.d/ingot-*.conf
while read -r plane address more; do
  case $plane in '' | \#*) continue ;; esac
  case $address in
    *[!0-9a-f.:/]* | '' | /* | */ | */*/*) wrong "\"$address\" of the plane $plane is not ADDRESS/LENGTH"; continue ;;
    */*) ;;
    *) wrong "\"$address\" of the plane $plane has no length"; continue ;;
  esac
  if [ -n "$more" ]; then wrong "\"$more\" stands behind the address of $plane"; continue; fi
  unit=$(unit_of "$plane")
  if [ -z "$unit" ]; then wrong "this node is on no plane \"$plane\""; continue; fi
  add "$unit.network" addresses '[Network]' "Address=$address"
done <"$addresses"

# An overlay sends from the node's own address on the underlay to every other VTEP, and to nobody else.
while read -r word overlay underlay vteps; do
  [ "$word" = overlay ] || continue
  own=
  while read -r plane address _; do
    for vtep in $vteps; do
      if [ "$plane ${address%/*}" = "$underlay $vtep" ]; then own=$vtep; fi
    done
  done <"$addresses"
  if [ -z "$own" ]; then wrong "no address of this node on $underlay is a VTEP of $overlay"; continue; fi
  add "30-$overlay.netdev" local '[VXLAN]' "Local=$own"
  for vtep in $vteps; do
    [ "$vtep" = "$own" ] && continue
    add "30-$overlay.network" peers '[BridgeFDB]' MACAddress=00:00:00:00:00:00 "Destination=$vtep"
  done
done <"$table"
exit $status
)";

ExtraFile text_file(std::string path, std::string_view text, unsigned mode = 0644) {
  return {std::move(path), to_buffer(as_bytes(text)), mode};
}

/// For ingot-network: "plane NAME UNIT" and "overlay NAME UNDERLAY VTEP...".
std::string plane_table(const Site& site, const SiteRole& role) {
  std::string out;
  for (const auto& plane : site.planes) {
    if (role.on(plane.name) == nullptr) continue;
    if (plane.addressing == Addressing::node)
      out +=
          fmt::format("plane {} {}-{}\n", plane.name, plane.kind == PlaneKind::plain ? 20 : 30, interface_name(plane));
    if (plane.kind != PlaneKind::vxlan) continue;
    std::vector<std::string> vteps;
    for (const auto& vtep : plane.vteps) vteps.push_back(to_text(vtep));
    out += fmt::format("overlay {} {} {}\n", plane.name, plane.underlay, fmt::join(vteps, " "));
  }
  return out;
}

/// Without it net.netfilter.nf_conntrack_acct, a row of the settings table, is not there.
constexpr std::string_view tracking_modules = "nf_tables\nnf_conntrack\n";

/// Drivers by name: a node may close the door for modules before its interfaces come up.
std::string module_list(const Profile& profile, const SiteRole& role) {
  auto out = fmt::format("{}nft_ct\nnft_limit\nnft_log\nnf_log_syslog\n", tracking_modules);
  const auto any = [&](PlaneKind kind) {
    return std::any_of(profile.site->planes.begin(), profile.site->planes.end(),
                       [&](const auto& plane) { return plane.kind == kind && role.on(plane.name) != nullptr; });
  };
  if (any(PlaneKind::vlan)) out += "8021q\n";
  if (any(PlaneKind::vxlan)) out += "vxlan\n";
  if (std::any_of(profile.links.begin(), profile.links.end(), [](const auto& link) { return !link.bond.empty(); }))
    out += "bonding\n";
  return out;
}

void add_unit_state(ConfigPart& part, std::string name, std::string file) {
  part.settings.push_back({SettingArea::unit, std::move(name), "active", std::move(file), "Ingot", ""});
}

/// The firewall is there before any interface is, closed at first; when its ruleset fails, it stays so, and no
/// interface gets an address. Stopping the unit does not open it again, as Debian's own would.
void add_firewall(ConfigPart& part, std::string ruleset) {
  const std::string drop_in = "/etc/systemd/system/nftables.service.d/10-ingot.conf";
  part.files.push_back(text_file("/etc/nftables.conf", ruleset, 0600));
  part.files.push_back(text_file(std::string(closed_path), closed_ruleset()));
  part.files.push_back(text_file(drop_in, fmt::format("[Service]\nExecStartPre=/usr/sbin/nft -f {}\nExecStop=\n{}",
                                                      closed_path, detail::sandbox_of("nftables.service"))));
  part.links.push_back(
      {fmt::format("{}sysinit.target.wants/nftables.service", wants), fmt::format("{}nftables.service", units)});
  add_unit_state(part, "nftables.service", "/etc/nftables.conf");
}

/// The partition is looked at when udev has named it.
constexpr std::string_view after_partition =
    "Wants=dev-disk-by\\x2dpartlabel-addresses.device\nAfter=dev-disk-by\\x2dpartlabel-addresses.device\n";
constexpr std::string_view reads_partition = "DeviceAllow=/dev/disk/by-partlabel/addresses r\n";

void add_addresses(ConfigPart& part, const Profile& profile) {
  const auto is_handed = has_address_partition(profile);
  const std::string unit = fmt::format("{}ingot-network.service", units);
  part.files.push_back(text_file("/usr/lib/ingot/ingot-network", addresses_script, 0755));
  part.files.push_back(text_file("/usr/lib/ingot/network/planes", plane_table(*profile.site, *profile.site_role())));
  part.files.push_back(text_file(
      unit, fmt::format("[Unit]\nDescription=This node's addresses\nDefaultDependencies=no\n"
                        "RequiresMountsFor=/var/lib/ingot\nAfter=local-fs.target\n"
                        "Before=network-pre.target systemd-networkd.service shutdown.target\nWants=network-pre.target\n"
                        "Conflicts=shutdown.target\n{}\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                        "ExecStart=/usr/lib/ingot/ingot-network\nReadWritePaths=/run/systemd\n{}{}",
                        is_handed ? after_partition : "", detail::sandbox_of("ingot-network.service"),
                        is_handed ? reads_partition : "")));
  add_unit_state(part, "ingot-network.service", unit);
}

bool uses(const Site& site, const SiteRole& role, Addressing addressing) {
  return std::any_of(role.planes.begin(), role.planes.end(),
                     [&](const auto& member) { return site.plane(member.plane)->addressing == addressing; });
}

void add_networkd(ConfigPart& part, const Site& site, const SiteRole& role) {
  const std::string drop_in = "/etc/systemd/system/systemd-networkd.service.d/10-ingot.conf";
  part.files.push_back(text_file(
      drop_in,
      fmt::format("[Unit]\nRequires=nftables.service\nAfter=nftables.service{}\n[Service]\n{}{}",
                  uses(site, role, Addressing::node) ? " ingot-network.service\nWants=ingot-network.service\n" : "\n",
                  detail::sandbox_of("systemd-networkd.service"),
                  detail::sandbox_of(uses(site, role, Addressing::dhcp) ? "systemd-networkd.service, DHCP"
                                                                        : "systemd-networkd.service, static"))));
  part.links.push_back({fmt::format("{}multi-user.target.wants/systemd-networkd.service", wants),
                        fmt::format("{}systemd-networkd.service", units)});
  part.links.push_back({fmt::format("{}sockets.target.wants/systemd-networkd.socket", wants),
                        fmt::format("{}systemd-networkd.socket", units)});
  add_unit_state(part, "systemd-networkd.service", drop_in);
}

}  // namespace

bool has_address_partition(const Profile& profile) {
  const auto* role = profile.site_role();
  return role != nullptr && profile.state_volume() != nullptr && uses(*profile.site, *role, Addressing::node);
}

Result<ConfigPart> render_network(const Profile& profile) {
  ConfigPart part;
  const auto* role = profile.site_role();
  add_firewall(part, role == nullptr ? closed_ruleset() : nftables_ruleset(*profile.site, *role));
  const std::string module_file = "/usr/lib/modules-load.d/ingot-network.conf";
  part.files.push_back(text_file(module_file, role == nullptr ? tracking_modules : module_list(profile, *role)));
  if (role == nullptr) return part;
  for (auto& file : networkd_files(profile)) part.files.push_back(std::move(file));
  if (uses(*profile.site, *role, Addressing::node)) add_addresses(part, profile);
  add_networkd(part, *profile.site, *role);
  return part;
}

}  // namespace ingot::builder
