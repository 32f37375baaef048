// A site and a role to what the node's kernel and daemons read: pure text.
#pragma once

#include <string>

#include "ingot/builder/config.hpp"

namespace ingot::builder {

/// /etc/nftables.conf of a role: table `inet ingot` with input, forward and output closed, one chain for each plane and
/// direction, reached by interface name. Precondition: the role is one of the site's.
std::string nftables_ruleset(const Site& site, const SiteRole& role);
/// The ruleset of a node that has no site, and of every node until its own ruleset is loaded: loopback only.
std::string closed_ruleset();

/// Firewall, systemd-networkd units, addresses: with a site everything that the role needs, without one a closed
/// firewall.
Result<ConfigPart> render_network(const Profile& profile);
/// Whether the image has a partition on which a node is given its own addresses: its role's planes ask for them, and its
/// state is a volume, which nobody can write to before the node has made it.
bool has_address_partition(const Profile& profile);
inline constexpr std::uint64_t address_partition_bytes = 1u << 20;
/// nginx in front of the model server; empty without [proxy].
Result<ConfigPart> render_proxy(const Profile& profile);

/// systemd-networkd's files for the role's planes: .link, .netdev and .network. In networkd.cpp.
std::vector<ExtraFile> networkd_files(const Profile& profile);
/// /etc/nginx/nginx.conf. Precondition: profile.proxy.
std::string nginx_configuration(const Proxy& proxy);

}  // namespace ingot::builder
