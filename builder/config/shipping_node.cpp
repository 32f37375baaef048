// The half of shipping that every node has: identity, journal, upload, notices.
#include <algorithm>

#include "shipping_parts.hpp"

namespace ingot::builder::detail {
namespace {

/// Makes the node's key and certificate request; takes its certificate in.
constexpr std::string_view identity_script = R"sh(#!/bin/sh
# A node's TLS identity: `identity make` on every boot (does nothing when there is one), `identity install <node.crt`
# when the site's authority has certified it, `identity name` to go by the certified name. The key never leaves this machine.
set -eu
umask 077
folder=${INGOT_IDENTITY:-/var/lib/ingot/identity}
authority=${INGOT_TLS_CA:-/etc/ingot/tls-ca.crt}
hostname=${INGOT_HOSTNAME:-/proc/sys/kernel/hostname}

public_of() { openssl pkey -pubout -outform DER "$@" | openssl dgst -sha256 -r | cut -d ' ' -f 1; }

make() {
  if [ ! -s "$folder/node.key" ]; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/node.key.new"
    sync "$folder/node.key.new"
    mv "$folder/node.key.new" "$folder/node.key"
  fi
  # The subject helps whoever sorts requests; who the node is, is for the authority to say.
  machine=$(cat /sys/class/dmi/id/product_uuid 2>/dev/null || echo unknown)
  [ -s "$folder/node.csr" ] ||
    { openssl req -new -key "$folder/node.key" -subj "/CN=$machine" -out "$folder/node.csr.new" &&
      mv "$folder/node.csr.new" "$folder/node.csr"; }
  [ -s "$folder/node.crt" ] ||
    echo "<4>not certified: take $folder/node.csr (key $(public_of -in "$folder/node.key")) to \`ingot keys issue\`" >&2
}

install() {
  trap 'rm -f "$folder/node.crt.new"' EXIT
  head -c 65536 >"$folder/node.crt.new"
  openssl verify -CAfile "$authority" -purpose sslclient "$folder/node.crt.new" >/dev/null ||
    { echo "<3>the certificate is not one of $authority for this use" >&2; exit 1; }
  certified=$(openssl x509 -in "$folder/node.crt.new" -noout -pubkey | public_of -pubin)
  [ "$certified" = "$(public_of -in "$folder/node.key")" ] ||
    { echo "<3>the certificate is of another key than this node's" >&2; exit 1; }
  sync "$folder/node.crt.new"
  mv "$folder/node.crt.new" "$folder/node.crt"
}

# sudo_logsrvd files sessions under the host name that the node gives.
name() {
  certified=$(openssl x509 -in "$folder/node.crt" -noout -subject -nameopt RFC2253)
  certified=${certified#subject=CN=}
  case $certified in
    '' | *[!a-z0-9-]* | -*) echo "<3>\"$certified\" of $folder/node.crt is no name of a node" >&2; exit 1 ;;
  esac
  echo "$certified" >"$hostname"
}

case ${1-} in
  make) make ;;
  install) install ;;
  name) name ;;
  *) echo "usage: identity make | identity install <node.crt | identity name" >&2; exit 3 ;;
esac
)sh";

constexpr std::string_view identity_unit = R"([Unit]
Description=TLS identity of this node
RequiresMountsFor=/var/lib/ingot
After=systemd-tmpfiles-setup.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/ingot/identity make
{}ReadWritePaths=/var/lib/ingot/identity
)";

// Before sessions begin, where it is certified already; else by its path unit.
constexpr std::string_view hostname_unit = R"([Unit]
Description=Certified name of this node
ConditionPathExists=/var/lib/ingot/identity/node.crt
RequiresMountsFor=/var/lib/ingot
After=ingot-identity.service
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/ingot/identity name
{})";
constexpr std::string_view hostname_path = R"([Unit]
Description=Take the certified name when this node is certified

[Path]
PathExists=/var/lib/ingot/identity/node.crt
Unit=ingot-hostname.service
)";

// Certified while it runs: the upload starts by itself. Certified anew: whoever holds the old certificate starts again.
constexpr std::string_view certified_path = R"([Unit]
Description=Start shipping when this node is certified

[Path]
PathExists=/var/lib/ingot/identity/node.crt
Unit=systemd-journal-upload.service
)";
constexpr std::string_view renewed_path = R"([Unit]
Description=Wait for a new certificate of this node

[Path]
PathChanged=/var/lib/ingot/identity/node.crt
)";
constexpr std::string_view renewed_unit = R"([Unit]
Description=Use this node's new certificate

[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl try-restart {}
{})";

constexpr std::string_view journald = R"([Journal]
# On the data partition, at most a second behind (journald.conf(5): five minutes), nothing dropped for its rate.
Storage=persistent
Compress=yes
SyncIntervalSec=1s
RateLimitIntervalSec=0
RateLimitBurst=0
# The queue: what is not delivered when it is full is lost, oldest first, and ingot-queue says so before.
SystemMaxUse={}M
SystemMaxFileSize={}M
SystemKeepFree=32M
RuntimeMaxUse={}M
# Audit records by the kernel's multicast group, each once: auditd keeps its own file and its syslog plugin is off, and
# while auditd runs the kernel does not print records to its log, where the journal would find them a second time.
Audit=yes
ReadKMsg=yes
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no
)";

constexpr std::string_view upload_config = R"([Upload]
URL=https://{}:{}
ServerKeyFile=/run/credentials/systemd-journal-upload.service/node.key
ServerCertificateFile=/run/credentials/systemd-journal-upload.service/node.crt
TrustedCertificateFile=/etc/ingot/tls-ca.crt
)";

// The uploader ends at every failure, so it starts again for ever. It keeps the cursor of what the collector has
// acknowledged on the data partition, under the static user of the package: a dynamic one would have it in
// /var/lib/private.
// --merge: records of earlier boots are under earlier machine ids where the firmware gives no stable one.
constexpr std::string_view upload_drop_in = R"([Unit]
ConditionPathExists=/var/lib/ingot/identity/node.crt
RequiresMountsFor=/var/lib/ingot /var/log/journal
Wants=ingot-identity.service
After=ingot-identity.service
StartLimitIntervalSec=0

[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-journal-upload --merge --save-state=/var/lib/ingot/shipping/state
DynamicUser=no
User=systemd-journal-remote
SupplementaryGroups=systemd-journal
StateDirectory=
StateDirectory=ingot/shipping
LoadCredential=node.key:/var/lib/ingot/identity/node.key
LoadCredential=node.crt:/var/lib/ingot/identity/node.crt
Restart=always
RestartSec=2
RestartSteps=0
RestartMaxDelaySec=infinity
{}ReadOnlyPaths=/var/log/journal
)";

constexpr std::string_view queue_unit = R"([Unit]
Description=Does the queue of undelivered records fill?
RequiresMountsFor=/var/lib/ingot /var/log/journal

[Service]
Type=oneshot
ExecStart=/usr/lib/ingot/ingot-agent queue --journal /var/log/journal --state /var/lib/ingot/shipping/state --limit {} --percent {} --metrics /run/ingot/shipping.prom
User=systemd-journal-remote
SupplementaryGroups=systemd-journal
RuntimeDirectory=ingot
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
SyslogIdentifier=ingot-queue
# The console, too: what cannot be delivered must be seen somewhere.
StandardError=journal+console
{})";
constexpr std::string_view queue_timer = R"([Unit]
Description=Watch the queue of undelivered records

[Timer]
OnBootSec=45s
OnUnitActiveSec=60s
AccuracySec=5s

[Install]
WantedBy=timers.target
)";

constexpr std::string_view retention = R"(# Records under machine ids of earlier boots count in nobody's limit.
e /var/log/journal/* - - - {}d
)";

constexpr std::uint64_t mebibyte = 1u << 20;

}  // namespace

void add_node(ConfigPart& part, const Profile& profile) {
  const auto& shipping = profile.shipping;
  const bool collects = profile.collector.enabled;
  const auto file_mebibytes = std::max<std::uint64_t>(8, shipping.queue_bytes / mebibyte / 16);
  add_file(part, "/usr/lib/ingot/identity", identity_script, 0755);
  add_unit(part, "ingot-identity.service", fmt::format(identity_unit, sandbox_of("ingot-identity.service")),
           "multi-user.target");
  add_unit(part, "ingot-hostname.service", fmt::format(hostname_unit, sandbox_of("ingot-hostname.service")),
           "multi-user.target");
  add_unit(part, "ingot-hostname.path", hostname_path, "multi-user.target");
  add_unit(part, "ingot-renewed.path", renewed_path, "multi-user.target");
  add_unit(part, "ingot-renewed.service",
           fmt::format(renewed_unit,
                       collects ? "ingot-collector.service ingot-sudo-logs.service" : "systemd-journal-upload.service",
                       sandbox_of("ingot-renewed.service")),
           "");
  add_file(part, "/etc/systemd/journald.conf.d/60-ingot-shipping.conf",
           fmt::format(journald, shipping.queue_bytes / mebibyte, file_mebibytes, shipping.runtime_bytes / mebibyte));
  part.links.push_back({fmt::format("{}sockets.target.wants/systemd-journald-audit.socket", unit_folder),
                        "../systemd-journald-audit.socket"});
  add_file(part, "/usr/lib/tmpfiles.d/ingot-shipping.conf",
           fmt::format(retention, collects ? profile.collector.keep_days : 30));
  part.settings.push_back({SettingArea::unit, "systemd-journald-audit.socket", "active",
                           std::string(unit_folder) + "systemd-journald-audit.socket", "Ingot", ""});
  // The collector's own records are where they belong already.
  if (collects) return;
  const bool is_ipv6 = shipping.collector.find(':') != std::string::npos;
  add_file(part, "/etc/systemd/journal-upload.conf.d/50-ingot.conf",
           fmt::format(upload_config, is_ipv6 ? fmt::format("[{}]", shipping.collector) : shipping.collector,
                       shipping.port));
  add_file(part, "/etc/systemd/system/systemd-journal-upload.service.d/50-ingot.conf",
           fmt::format(upload_drop_in, sandbox_of("systemd-journal-upload.service")));
  add_unit(part, "ingot-certified.path", certified_path, "multi-user.target");
  add_unit(part, "ingot-queue.service",
           fmt::format(queue_unit, shipping.queue_bytes, shipping.notice_percent, sandbox_of("ingot-queue.service")),
           "");
  add_unit(part, "ingot-queue.timer", queue_timer, "timers.target");
  part.settings.push_back({SettingArea::unit, "systemd-journal-upload.service", "active",
                           "/etc/systemd/system/systemd-journal-upload.service.d/50-ingot.conf",
                           "CIS Debian 13 6.2.1.2", ""});
  part.settings.push_back(
      {SettingArea::unit, "ingot-queue.timer", "active", std::string(unit_folder) + "ingot-queue.timer", "Ingot", ""});
}

}  // namespace ingot::builder::detail
