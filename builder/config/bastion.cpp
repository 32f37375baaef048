// The bastion: nobody gets a shell on it. sshd's ForceCommand takes the name of a node and opens the onward session
// itself, through sudo, as an account that alone can read the onward key; sudo records who, when, to where, and the
// terminal in both directions (sudo_plugin(5) I/O logs), and sends it to the collector where sudoers says so.
// Trade-offs: README.md.
#include "bastion.hpp"

#include "parts.hpp"

namespace ingot::builder::detail {
namespace {

/// Runs as the person who logged in. The command that came is data: a name, looked up, or nothing.
constexpr std::string_view front_door = R"(#!/bin/sh
# ForceCommand: opens a recorded session on a node, `ssh -t BASTION NODE`, and nothing else.
set -eu
node=${SSH_ORIGINAL_COMMAND:-}
case $node in
  '' | *[!a-z0-9-]*)
    echo "usage: ssh -t BASTION NODE, where NODE is one of:" >&2
    cut -d' ' -f1 /etc/ingot/onward-nodes >&2
    exit 64 ;;
esac
exec /usr/bin/sudo -n -u ingot-onward /usr/lib/ingot/ingot-onward "$node"
)";

/// Runs as ingot-onward, below sudo: SUDO_USER is sudo's word.
constexpr std::string_view onward = R"(#!/bin/sh
# The onward session of a bastion, started by sudo, which records it.
set -eu
address=$(sed -n "s/^$1 //p" /etc/ingot/onward-nodes)
if [ -z "$address" ]; then
  echo "no node of that name: $1" >&2
  exit 64
fi
terminal=
if [ -t 0 ]; then terminal=-tt; fi
exec /usr/bin/ssh -F /etc/ssh/onward_config $terminal -l "$SUDO_USER" -- "$address"
)";

constexpr std::string_view onward_config = R"(# The account ingot-onward's, for the second leg of every session.
Host *
  IdentityFile /var/lib/ingot/bastion/onward_key
  CertificateFile /var/lib/ingot/bastion/onward_key-cert.pub
  IdentitiesOnly yes
  BatchMode yes
  PreferredAuthentications publickey
  UserKnownHostsFile /var/lib/ingot/bastion/known_hosts
  GlobalKnownHostsFile /etc/ssh/ssh_known_hosts
  StrictHostKeyChecking accept-new
  ForwardAgent no
  ForwardX11 no
  ClearAllForwardings yes
  PermitLocalCommand no
  EscapeChar none
  ConnectTimeout 10
)";

constexpr std::string_view key_script = R"(#!/bin/sh
# The bastion's onward key: made once, kept on persistent storage; the SSH CA signs it with the onward principal.
set -eu
umask 077
key=/var/lib/ingot/bastion/onward_key
mkdir -p "${key%/*}"
if ! [ -s "$key" ]; then
  rm -f "$key.new" "$key.new.pub"
  ssh-keygen -q -t ed25519 -N '' -C ingot-onward -f "$key.new"
  mv "$key.new.pub" "$key.pub"
  mv "$key.new" "$key"
fi
chown -R ingot-onward:ingot-onward "${key%/*}"
)";

constexpr std::string_view key_unit = R"([Unit]
Description=Onward key of this bastion
RequiresMountsFor=/var/lib/ingot
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/ingot/ingot-onward-key

CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/var/lib
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
RestrictAddressFamilies=none
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
)";

}  // namespace

bool is_bastion(const Profile& profile) { return !profile.ssh.onward.empty(); }

ConfigPart render_bastion(const Profile& profile) {
  ConfigPart part;
  if (!is_bastion(profile)) return part;
  std::string nodes;
  for (const auto& [name, address] : profile.ssh.onward) nodes += fmt::format("{} {}\n", name, address);
  add_file(part, "/etc/ingot/onward-nodes", nodes);
  add_file(part, std::string(bastion_command), front_door, 0755);
  add_file(part, "/usr/lib/ingot/ingot-onward", onward, 0755);
  add_file(part, "/etc/ssh/onward_config", onward_config);
  add_file(part, "/usr/lib/ingot/ingot-onward-key", key_script, 0755);
  add_file(part, "/usr/lib/systemd/system/ingot-onward-key.service", key_unit);
  want_unit(part, "ingot-onward-key.service", "multi-user.target", "profile [ssh]");
  return part;
}

std::string bastion_sudoers(const Profile& profile) {
  std::string text;
  if (!is_bastion(profile)) return text;
  // Our own script's children are no commands of the user's; the session itself is recorded all the same.
  text += "Defaults!/usr/lib/ingot/ingot-onward !intercept\n";
  for (const auto& [name, user] : profile.users)
    text += fmt::format("{} ALL=(ingot-onward) NOPASSWD: /usr/lib/ingot/ingot-onward ^[a-z0-9-]+$\n", name);
  return text;
}

}  // namespace ingot::builder::detail
