// sshd as the profile wants it, or not at all. One complete sshd_config: of a keyword that occurs twice the first one
// counts (sshd_config(5)), so a forgotten drop-in would win over us.
#include <fmt/ranges.h>

#include "bastion.hpp"
#include "parts.hpp"
#include "sandbox.hpp"
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view ca_file = "/etc/ssh/ca.pub";
constexpr std::string_view revoked_file = "/etc/ssh/revoked";
constexpr std::string_view principals_folder = "/etc/ssh/principals";
constexpr std::string_view keys_folder = "/etc/ssh/keys";
constexpr std::string_view host_key_prefix = "/var/lib/ingot/ssh/ssh_host_";
constexpr std::string_view from_profile = "profile [ssh]";

/// Made on the node, on storage that outlives the boot; in the image they would be the same on every node of a fleet.
constexpr std::string_view host_keys_unit = R"([Unit]
Description=SSH host keys of this node
Documentation=man:ssh-keygen(1)
RequiresMountsFor=/var/lib/ingot
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/ingot/ingot-host-keys
StateDirectory=ingot/ssh
StateDirectoryMode=0700
{}
[Install]
WantedBy=ssh.service
)";

/// A key appears under its name only when it is whole: a node that loses power in between makes it anew.
constexpr std::string_view host_keys_script = R"(#!/bin/sh
# Host keys of this node: made once, kept on persistent storage.
set -eu
umask 077
folder=/var/lib/ingot/ssh
for kind in ed25519 rsa; do
  key=$folder/ssh_host_${kind}_key
  [ -s "$key" ] && [ -s "$key.pub" ] && continue
  rm -f "$key" "$key.pub" "$key.new" "$key.new.pub"
  bits=4096
  [ "$kind" = rsa ] || bits=256
  ssh-keygen -q -t "$kind" -b "$bits" -N '' -C '' -f "$key.new"
  mv "$key.new.pub" "$key.pub"
  mv "$key.new" "$key"
  sync -f "$folder"
done
)";

constexpr std::string_view ssh_drop_in = R"([Unit]
Wants=ingot-host-keys.service
After=ingot-host-keys.service nftables.service

[Service]
)";

/// One keyword of sshd, once or several times; the baseline has what `sshd -T` says, joined by spaces.
void add_keyword(ConfigPart& part, std::string& text, std::string_view name, const std::vector<std::string>& values) {
  for (const auto& value : values) text += fmt::format("{} {}\n", name, value);
  part.settings.push_back({SettingArea::sshd, std::string(name), fmt::format("{}", fmt::join(values, " ")),
                           std::string(sshd_config), std::string(from_profile), ""});
}

std::string lines(const std::vector<std::string>& texts) {
  return texts.empty() ? "" : fmt::format("{}\n", fmt::join(texts, "\n"));
}

/// "alice@10.0.0.0/24" for every user and every prefix: both must be right.
std::vector<std::string> allowed_users(const Profile& profile) {
  std::vector<std::string> allowed;
  for (const auto& [name, user] : profile.users) {
    if (user.principals.empty() && user.authorized_keys.empty()) continue;
    for (const auto& prefix : profile.ssh.from) allowed.push_back(fmt::format("{}@{}", name, prefix));
  }
  return allowed;
}

/// The bastion proves itself, for whomever it says; sshd(8), "AUTHORIZED_KEYS FILE FORMAT", has the options of a
/// principal.
std::string onward_line(const Ssh& ssh) {
  if (ssh.onward_principal.empty()) return {};
  return fmt::format("from=\"{}\" {}\n", fmt::join(ssh.from, ","), ssh.onward_principal);
}

void add_users(ConfigPart& part, std::string& text, const Profile& profile) {
  bool has_keys = false;
  for (const auto& [name, user] : profile.users) {
    if (!user.principals.empty())
      add_file(part, fmt::format("{}/{}", principals_folder, name), lines(user.principals) + onward_line(profile.ssh));
    if (!user.authorized_keys.empty())
      add_file(part, fmt::format("{}/{}", keys_folder, name), lines(user.authorized_keys));
    has_keys = has_keys || !user.authorized_keys.empty();
  }
  // One line for all, which is how judges read it; `sshd -T` says one a line either way.
  const auto allowed = fmt::format("{}", fmt::join(allowed_users(profile), " "));
  add_keyword(part, text, "allowusers", {allowed});
  add_keyword(part, text, "authorizedkeysfile", {has_keys ? fmt::format("{}/%u", keys_folder) : "none"});
  const bool has_ca = !profile.ssh.ca.empty();
  add_keyword(part, text, "trustedusercakeys", {has_ca ? std::string(ca_file) : "none"});
  add_keyword(part, text, "authorizedprincipalsfile", {has_ca ? fmt::format("{}/%u", principals_folder) : "none"});
  if (has_ca) add_file(part, std::string(ca_file), lines(profile.ssh.ca));
  // Always there: without the file sshd refuses every key, and an empty one revokes none (ssh-keygen(1)).
  part.files.push_back({std::string(revoked_file), profile.ssh.revoked, 0644, 0, 0});
  add_keyword(part, text, "revokedkeys", {std::string(revoked_file)});
}

std::string render_sshd_config(ConfigPart& part, const Profile& profile) {
  std::string text(made_by);
  for (auto& setting : chosen_settings(profile.hardening, SettingArea::sshd)) {
    text += fmt::format("{} {}\n", setting.name, setting.value);
    part.settings.push_back(std::move(setting));
  }
  std::vector<std::string> keys, certificates;
  for (const auto* kind : {"ed25519", "rsa"}) {
    keys.push_back(fmt::format("{}{}_key", host_key_prefix, kind));
    certificates.push_back(keys.back() + "-cert.pub");
  }
  add_keyword(part, text, "hostkey", keys);
  if (profile.ssh.host_certificate) add_keyword(part, text, "hostcertificate", certificates);
  add_users(part, text, profile);
  if (is_bastion(profile)) add_keyword(part, text, "forcecommand", {std::string(bastion_command)});
  return text;
}

/// Ways to start an SSH daemon that nobody asked for. The generator would offer AF_VSOCK and a local socket.
void close_side_doors(ConfigPart& part) {
  for (const auto* unit : {"ssh.socket", "sshd.socket", "sshd@.service", "sshd-keygen.service", "rescue-ssh.target"})
    mask_unit(part, unit, from_profile);
  part.removed.insert(part.removed.end(), {"/usr/lib/systemd/system-generators/systemd-ssh-generator",
                                           "/usr/lib/tmpfiles.d/20-systemd-ssh-generator.conf", "/etc/default/ssh"});
}

ConfigPart without_ssh(const Tree& tree) {
  ConfigPart part;
  close_side_doors(part);
  for (const auto* unit : {"ssh.service", "sshd.service"}) mask_unit(part, unit, from_profile);
  for (const auto* path :
       {"/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth", "/usr/lib/openssh/sftp-server",
        "/usr/lib/sftp-server", "/usr/lib/systemd/system/ssh.service", "/usr/lib/systemd/system/ssh.socket",
        "/usr/lib/systemd/system/sshd@.service", "/usr/lib/systemd/system/sshd-keygen.service", "/etc/pam.d/sshd",
        "/usr/lib/pam.d/sshd", "/etc/ufw/applications.d/openssh-server", "/etc/init.d/ssh"})
    part.removed.emplace_back(path);
  for (const auto& [path, entry] : tree.entries)
    if (path.starts_with("/etc/ssh/sshd_config")) part.removed.push_back(path);
  return part;
}

}  // namespace

Result<ConfigPart> render_ssh(const Profile& profile, const Tree& tree) {
  if (!profile.ssh.enabled) return without_ssh(tree);
  if (tree.resolve("/usr/sbin/sshd") == nullptr)
    return fail(ErrorCode::missing, "[ssh] is enabled and the base tree has no /usr/sbin/sshd",
                "add openssh-server to base.packages");
  ConfigPart part;
  close_side_doors(part);
  for (const auto& [path, entry] : tree.entries)
    if (path.starts_with("/etc/ssh/sshd_config.d/")) part.removed.push_back(path);
  add_file(part, std::string(sshd_config), render_sshd_config(part, profile), 0600);
  add_file(part, "/usr/lib/ingot/ingot-host-keys", host_keys_script, 0755);
  add_file(part, "/usr/lib/systemd/system/ingot-host-keys.service",
           fmt::format(host_keys_unit, sandbox_of("ingot-host-keys.service")));
  add_file(part, "/etc/systemd/system/ssh.service.d/ingot.conf", std::string(ssh_drop_in) + sandbox_of("ssh.service"));
  want_unit(part, "ssh.service", "multi-user.target", from_profile);
  part.settings.push_back(
      {SettingArea::file, std::string(sshd_config), "mode 0600, owner 0:0", std::string(sshd_config), "CIS", ""});
  return part;
}

}  // namespace ingot::builder::detail
