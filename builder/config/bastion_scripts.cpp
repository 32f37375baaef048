// The bastion's scripts. What a person sends is data to all of them: taken apart, checked, handed on as one argument.
#include "bastion.hpp"

namespace ingot::builder::detail {

// It runs as the person who logged in. It cannot be left out (ForceCommand), nor what it says be changed: it comes from
// the verity root, and of its surroundings a person chooses SSH_ORIGINAL_COMMAND and TERM alone.
const std::string_view bastion_front_door = R"sh(#!/bin/sh
# sshd's ForceCommand on a bastion: `ssh -t BASTION NODE [COMMAND...]` opens a recorded session on a node.
set -euf
export LC_ALL=C PATH=/usr/bin:/bin
asked=${SSH_ORIGINAL_COMMAND-}
source=${SSH_CONNECTION%% *}
user=$(id -un)
nodes=/var/lib/ingot/bastion/nodes

one_line() { printf %s "$1" | head -c 1024 | tr -c '\040-\176' '?'; }
note() { # EVENT PRIORITY TEXT [FIELD=VALUE...]: a structured line of the journal, which is shipped
  event=$1 priority=$2 text=$3
  shift 3
  printf '%s\n' "MESSAGE=$(one_line "$text")" "PRIORITY=$priority" SYSLOG_IDENTIFIER=ingot-bastion "INGOT_EVENT=$event" \
    "INGOT_SESSION=$session" "INGOT_USER=$user" "INGOT_SOURCE=$source" "INGOT_PROOF=$proof" "$@" | logger --journald
}
refuse() {
  note session-refused 4 "$user from $source is refused: $1: $asked"
  echo "bastion: $1" >&2
  exit 64
}
fingerprint() { ssh-keygen -l -f - | cut -d ' ' -f 2; }
# What opened this session, in one word: sshd says it in a file (ExposeAuthInfo), the CA chose id and serial.
proof_of() {
  read -r method type key rest <"$SSH_USER_AUTH"
  [ "$method" = publickey ] || return 0
  case $type in
    *-cert-*)
      printf '%s %s\n' "$type" "$key" | ssh-keygen -L -f - |
        sed -n 's/^ *Serial: /serial=/p; s/^ *Key ID: "\(.*\)"$/id=\1/p; s/^ *Signing CA: [^ ]* \([^ ]*\).*/ca=\1/p' |
        tr -c 'A-Za-z0-9=+/:@._\n-' _ | paste -s -d , - ;;
    *) printf 'key=%s\n' "$(printf '%s %s\n' "$type" "$key" | fingerprint)" ;;
  esac
}

read -r session </proc/sys/kernel/random/uuid
proof=unknown
proof=$(proof_of)
[ -n "$proof" ] || { echo "bastion: what opened this session is not known" >&2; exit 64; }

case $asked in
  '')
    echo "usage: ssh -t BASTION NODE [COMMAND...], where NODE is an address or one of:" >&2
    [ ! -s "$nodes" ] || sed '/^#/d; s/[[:blank:]].*//' "$nodes" >&2
    refuse "no node is named" ;;
  :[a-z]*)
    verb=${asked#:} account=ingot-onward
    case $verb in
      tls-request | tls-certificate) account=root ;;
      sessions) account=systemd-journal-remote ;;
      'replay '*) account=systemd-journal-remote verb=replay ;;
      onward-key | onward-certificate | nodes | known-hosts) ;;
      *) refuse "there is no such word; README.md of the profiles has them" ;;
    esac
    set -- "$verb"
    [ "$verb" != replay ] || set -- replay "${asked#:replay }"
    sudo -n -l -u "$account" /usr/lib/ingot/ingot-bastion-care "$@" >/dev/null 2>&1 || refuse "$user may not do that"
    note care 5 "$user from $source: $asked"
    exec sudo -n -u "$account" /usr/lib/ingot/ingot-bastion-care "$@" ;;
esac
target=${asked%% *}
case $target in
  scp | rsync | */sftp-server | internal-sftp) refuse "files are not copied to or through the bastion" ;;
  -* | *[!A-Za-z0-9.:-]*) refuse "that is neither an address nor a node's name" ;;
esac
set -- "$session" "$proof" "$source" "$target"
[ "$target" = "$asked" ] || set -- "$@" "${asked#* }"

# The record is sudo's: it sends the terminal to the collector while the session lasts, and ends with it. These lines say
# where to look. A person who hangs up ends sudo, not us: the last line is written all the same.
trap : HUP INT QUIT TERM PIPE
note session-start 5 "$user from $source opens a session on $target" "INGOT_TARGET=$target"
status=0
sudo -n -u ingot-onward /usr/lib/ingot/ingot-onward "$@" || status=$?
note session-end 5 "$user from $source: session on $target ends with $status" "INGOT_TARGET=$target" "INGOT_STATUS=$status"
exit "$status"
)sh";

const std::string_view bastion_onward = R"sh(#!/bin/sh
# The onward session of a bastion, started and recorded by sudo: SUDO_USER is sudo's word. Its arguments are the record's
# head: session, proof and source of who asks, then the node, then at most one command for the node's shell.
set -euf
export LC_ALL=C PATH=/usr/bin:/bin
nodes=/var/lib/ingot/bastion/nodes
[ $# -ge 4 ] && [ $# -le 5 ] || { echo "usage: ingot-onward SESSION PROOF SOURCE NODE [COMMAND]" >&2; exit 64; }
node=$4
address=$(/usr/lib/ingot/ingot-agent target --ranges /etc/ingot/bastion-targets --nodes "$nodes" --name "$node") || exit 64
# A host certificate, or a line of known_hosts, is for what the person asked for.
case $node in *:*) alias=$address ;; *) alias=$node ;; esac
shift 4
terminal=-T
[ ! -t 0 ] || terminal=-tt
exec ssh -F /etc/ingot/onward_ssh_config "$terminal" -o "HostKeyAlias=$alias" -l "$SUDO_USER" -- "$address" "$@"
)sh";

const std::string_view bastion_care = R"sh(#!/bin/sh
# What the bastion's keepers do on the bastion itself, started by sudo for them alone: there is no shell on it.
set -euf
export LC_ALL=C PATH=/usr/bin:/bin
umask 077
folder=/var/lib/ingot/bastion
fail() {
  echo "bastion: $1" >&2
  exit 65
}
take() { head -c 4194304 >"$folder/$1.new"; }
keep() { # whole under its name, or not at all
  chmod 0644 "$folder/$1.new"
  sync "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
}
case ${1-} in
  onward-key) cat "$folder/onward_key.pub" ;;
  onward-certificate)
    take onward_key-cert.pub
    told=$(ssh-keygen -L -f "$folder/onward_key-cert.pub.new" 2>/dev/null) || fail "that is no certificate of ssh-keygen"
    own=$(ssh-keygen -l -f "$folder/onward_key.pub" | cut -d ' ' -f 2)
    case $told in *"Public key: ED25519-CERT $own"*) ;; *) fail "that certifies another key than :onward-key" ;; esac
    case $told in *source-address*) ;; *) fail "that has no source-address: sign it with -O source-address=..." ;; esac
    keep onward_key-cert.pub
    printf '%s\n' "$told" | sed -n '/Key ID:\|Serial:\|Valid:\|source-address/p' ;;
  nodes)
    take nodes
    /usr/lib/ingot/ingot-agent target --ranges /etc/ingot/bastion-targets --nodes "$folder/nodes.new"
    keep nodes ;;
  known-hosts)
    take known_hosts
    ssh-keygen -l -f "$folder/known_hosts.new" || fail "that is no list of host keys"
    keep known_hosts ;;
  tls-request) cat /var/lib/ingot/identity/node.csr ;;
  tls-certificate) exec /usr/lib/ingot/identity install ;;
  sessions) exec sudoreplay -d /var/log/sudo-io -l ;;
  replay)
    case ${2-} in '' | -* | /* | *..* | *[!A-Za-z0-9/_.-]*) fail "that is no TSID; :sessions lists them" ;; esac
    [ -t 0 ] || exec sudoreplay -d /var/log/sudo-io -n -m 0 "$2"
    exec sudoreplay -d /var/log/sudo-io -m 2 "$2" ;;
  *) fail "there is no such word" ;;
esac
)sh";

const std::string_view bastion_key = R"sh(#!/bin/sh
# The bastion's onward key: made once, kept on persistent storage, never leaves it. The site's SSH CA certifies it.
set -eu
umask 077
key=/var/lib/ingot/bastion/onward_key
[ -s "$key" ] && [ -s "$key.pub" ] && exit 0
rm -f "$key" "$key.pub" "$key.new" "$key.new.pub"
ssh-keygen -q -t ed25519 -N '' -C ingot-onward -f "$key.new"
mv "$key.new.pub" "$key.pub"
mv "$key.new" "$key" # last: without it, the next start makes both anew
sync -f "$key"
)sh";

}  // namespace ingot::builder::detail
