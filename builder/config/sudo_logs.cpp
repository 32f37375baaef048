#include "bastion.hpp"
#include "set_id.hpp"
#include "shipping_parts.hpp"
#include "sudo.hpp"

namespace ingot::builder::detail {

/// Where records leave the node, so do those of sudo, and a command that cannot be recorded does not run. The bastion
/// has its own words for it (bastion.cpp). What brings a node the certificate that recording needs is recorded here.
std::string sudo_log_lines(const Profile& profile) {
  const auto& shipping = profile.shipping;
  if (!shipping.enabled || is_bastion(profile) || !may_sudo(profile)) return {};
  const bool is_ipv6 = shipping.collector.find(':') != std::string::npos;
  return fmt::format(
      "Defaults log_servers=\"{}:{}(tls)\", log_server_verify, log_server_timeout=10\n"
      "Defaults log_server_cabundle={}\n"
      "Defaults log_server_peer_cert={}/node.crt, log_server_peer_key={}/node.key\n"
      "Defaults!/usr/lib/ingot/identity !log_servers\n",
      is_ipv6 ? fmt::format("[{}]", shipping.collector) : shipping.collector, shipping.sudo_port, authority_path,
      identity_folder, identity_folder);
}

}  // namespace ingot::builder::detail
