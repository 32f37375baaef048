// The bastion: nobody gets a shell on it. sshd's ForceCommand takes the name of a node and opens the onward session
// itself, through sudo, as an account that alone can read the onward key; sudo records who, when, to where, and the
// terminal in both directions, on the collector, and where it cannot record there is no session. Why sudo: it is kept
// well, its records leave the machine while they are made (sudo_logsrvd(8)), and tlog is not in Debian 13.
#include "bastion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "shipping_parts.hpp"

namespace ingot::builder {
namespace detail {
namespace {

constexpr std::string_view onward_config = R"(# The second leg of every session through this bastion. ssh_config(5).
Host *
  IdentityFile /var/lib/ingot/bastion/onward_key
  CertificateFile /var/lib/ingot/bastion/onward_key-cert.pub
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  BatchMode yes
  UserKnownHostsFile /var/lib/ingot/bastion/known_hosts
  GlobalKnownHostsFile /etc/ingot/onward_known_hosts
  StrictHostKeyChecking yes
  UpdateHostKeys no
  CanonicalizeHostname no
  ControlMaster no
  ControlPath none
  ForwardAgent no
  ForwardX11 no
  ClearAllForwardings yes
  Tunnel no
  PermitLocalCommand no
  EnableEscapeCommandline no
  EscapeChar none
  ConnectTimeout 10
  ServerAliveInterval 15
  ServerAliveCountMax 3
  LogLevel ERROR
)";

constexpr std::string_view key_unit = R"([Unit]
Description=Onward key of this bastion
RequiresMountsFor=/var/lib/ingot
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/ingot/ingot-onward-key
User={}
StateDirectory=ingot/bastion
StateDirectoryMode=0755
{})";

constexpr std::string_view sudoers =
    R"ini(# Onward sessions of the bastion. Where they cannot be recorded, or the recorder goes away, they end. sudoers(5).
Defaults!{0} use_pty, log_input, log_output, !log_passwords, iolog_flush, !intercept, !log_subcmds
Defaults!{0} !ignore_iolog_errors, !ignore_audit_errors, !ignore_logfile_errors
Defaults!{0} log_servers="{1}:{2}(tls)", log_server_timeout=5, log_server_verify
Defaults!{0} log_server_cabundle={3}
Defaults!{0} log_server_peer_cert={4}/node.crt, log_server_peer_key={4}/node.key
Defaults!{5} !log_input, !log_output, !intercept, !log_subcmds
)ini";
constexpr std::string_view onward_program = "/usr/lib/ingot/ingot-onward";
constexpr std::string_view care_program = "/usr/lib/ingot/ingot-bastion-care";

/// A rule of sudoers: `users` may have `account` do each of `words`; nothing without users.
std::string care_rule(const std::vector<std::string>& users, std::string_view account,
                      const std::vector<std::string_view>& words) {
  if (users.empty()) return {};
  std::vector<std::string> commands;
  for (const auto word : words) commands.push_back(fmt::format("{} {}", care_program, word));
  return fmt::format("{} ALL=({}) NOPASSWD: {}\n", fmt::join(users, ", "), account, fmt::join(commands, ", "));
}

std::string target_lines(const Profile& profile) {
  std::string text = "# Where this bastion may open sessions: flows of the site to TCP port 22.\n";
  for (const auto& target : bastion_targets(*profile.site, profile.role))
    text += fmt::format("{} {}\n", target.role, to_text(target.addresses));
  return text;
}

std::string known_host_lines(const Profile& profile) {
  std::string text = "# Who may vouch for a node's host key; single keys are in /var/lib/ingot/bastion/known_hosts.\n";
  for (const auto& key : profile.bastion.host_ca) text += fmt::format("@cert-authority * {}\n", key);
  return text;
}

}  // namespace

std::string bastion_sudoers(const Profile& profile) {
  const auto& shipping = profile.shipping;
  const bool is_ipv6 = shipping.collector.find(':') != std::string::npos;
  auto text =
      fmt::format(sudoers, onward_program, is_ipv6 ? fmt::format("[{}]", shipping.collector) : shipping.collector,
                  shipping.sudo_port, authority_path, identity_folder, care_program);
  for (const auto& [name, user] : profile.users)
    text += fmt::format("{} ALL=({}) NOPASSWD: {}\n", name, onward_account, onward_program);
  const auto& [admins, auditors] = std::tie(profile.bastion.admins, profile.bastion.auditors);
  text += care_rule(admins, onward_account, {"onward-key", "onward-certificate", "nodes", "known-hosts"});
  text += care_rule(admins, "root", {"tls-request", "tls-certificate"});
  if (profile.collector.enabled)
    text += care_rule(auditors, "systemd-journal-remote", {"sessions", "^replay [A-Za-z0-9/_.-]+$"});
  return text;
}

}  // namespace detail

std::vector<BastionTarget> bastion_targets(const Site& site, std::string_view bastion) {
  constexpr FlowPort ssh{FlowProtocol::tcp, 22, 22};
  const auto names = [](const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  std::vector<BastionTarget> targets;
  for (const auto& flow : site.flows) {
    const bool carries =
        std::any_of(flow.ports.begin(), flow.ports.end(), [&](const FlowPort& ports) { return ports.contains(ssh); });
    if (!carries || !names(flow.from, bastion)) continue;
    for (const auto& role : site.roles) {
      if (role.name == bastion || !role.ssh || !names(flow.to, role.name)) continue;
      for (const auto& range : addresses_on(site, role.name, flow.plane)) targets.push_back({role.name, range});
    }
  }
  return targets;
}

Result<ConfigPart> render_bastion(const Profile& profile) {
  ConfigPart part;
  if (!detail::is_bastion(profile)) return part;
  if (!profile.site || profile.shipping.collector.empty())
    return fail(ErrorCode::internal, "[bastion] is rendered before complete_shipping()");
  const std::string sudoers_path = "/etc/sudoers.d/ingot-bastion";
  detail::add_file(part, "/etc/ingot/bastion-targets", detail::target_lines(profile));
  detail::add_file(part, "/etc/ingot/onward_known_hosts", detail::known_host_lines(profile));
  detail::add_file(part, "/etc/ingot/onward_ssh_config", detail::onward_config);
  detail::add_file(part, sudoers_path, detail::bastion_sudoers(profile), 0440);
  detail::add_file(part, std::string(detail::bastion_command), detail::bastion_front_door, 0755);
  detail::add_file(part, std::string(detail::onward_program), detail::bastion_onward, 0755);
  detail::add_file(part, std::string(detail::care_program), detail::bastion_care, 0755);
  detail::add_file(part, "/usr/lib/ingot/ingot-onward-key", detail::bastion_key, 0755);
  detail::add_unit(
      part, "ingot-onward-key.service",
      fmt::format(detail::key_unit, detail::onward_account, detail::sandbox_of("ingot-onward-key.service")),
      "multi-user.target");
  part.settings.push_back({SettingArea::unit, "ingot-onward-key.service", "active",
                           std::string(detail::unit_folder) + "ingot-onward-key.service", "Ingot", ""});
  part.settings.push_back(
      {SettingArea::file, sudoers_path, "mode 0440, owner 0:0", sudoers_path, "profile [bastion]", ""});
  return part;
}

}  // namespace ingot::builder
