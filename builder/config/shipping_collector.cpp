// The collector's half of shipping: nginx ends TLS and says who sends, a script stores one delivery at a time with
// systemd-journal-remote, sudo_logsrvd takes recorded sessions.
#include <algorithm>

#include "shipping_parts.hpp"

namespace ingot::builder::detail {
namespace {

// systemd-journal-remote behind a proxy would take every sender for the proxy, and believe what records say of their
// host. So it never sees the network: one delivery is one file of records and one name, that of the certificate.
// journal-remote brings its journal to the disk (fsync) before it ends; only then is the delivery acknowledged, and
// only then does the node move its cursor.
constexpr std::string_view collect_script = R"sh(#!/bin/sh
# One delivery of one node: a request of nginx (HTTP/1.0, so with its length and without chunks) on standard input, the
# answer on standard output. systemd starts it for each connection to /run/ingot-collect.
set -eu
umask 027
store=${INGOT_STORE:-/var/log/journal/remote}
spool=${INGOT_SPOOL:-/var/lib/ingot/collect}
agent=${INGOT_AGENT:-/usr/lib/ingot/ingot-agent}
cr=$(printf '\r')

answer() {
  [ "${1%% *}" = 202 ] || echo "<3>${node:-nobody}: $2" >&2
  printf 'HTTP/1.0 %s\r\nContent-Type: text/plain\r\n\r\n%s\n' "$1" "$2"
  exit 0
}

node='' length=''
while IFS= read -r line; do
  line=${line%"$cr"}
  case $line in
    '') break ;;
    X-Ingot-Node:*) node=${line#*: } ;;
    Content-Length:*) length=${line#*: } ;;
  esac
done
case $node in '' | *[!a-z0-9-]* | -*) answer '403 Forbidden' 'no name of a node' ;; esac
case $length in '' | *[!0-9]*) answer '411 Length Required' 'no length' ;; esac

delivery=$(mktemp "$spool/$node.XXXXXX")
trap 'rm -f "$delivery"' EXIT
head -c "$length" >"$delivery"
[ "$(stat -c %s "$delivery")" = "$length" ] || answer '400 Bad Request' 'the delivery is cut off'
mkdir -p "$store/$node"
exec 9>"$spool/.$node.lock" # a node's next delivery may come while this one is stored: its uploader was killed
flock 9
stored=yes
/usr/lib/systemd/systemd-journal-remote --split-mode=none --output="$store/$node/$node.journal" "$delivery" >&2 || stored=no
# What cannot be stored is judged, too: its node sends it again and again.
"$agent" alerts --node "$node" --state "$spool/.$node.alerts" <"$delivery" ||
  echo "<2>$node: a delivery was not judged for alerts (stored: $stored)" >&2
[ "$stored" = yes ] || answer '500 Internal Server Error' 'the delivery is not stored'
answer '202 Accepted' stored
)sh";

constexpr std::string_view collect_socket = R"([Unit]
Description=Deliveries of records

[Socket]
ListenStream=/run/ingot-collect
SocketUser=www-data
SocketMode=0600
Accept=yes
MaxConnections=128
# Not a limit of safety here: every batch of every node is a connection.
TriggerLimitIntervalSec=0
)";

// systemd's own lines about each delivery would be records, too: only what goes wrong is told.
constexpr std::string_view collect_unit = R"([Unit]
Description=Store a delivery of records
CollectMode=inactive-or-failed
RequiresMountsFor=/var/lib/ingot /var/log/journal

[Service]
ExecStart=/usr/lib/ingot/collect
User=systemd-journal-remote
StandardInput=socket
StandardOutput=socket
StandardError=journal
SyslogIdentifier=ingot-collect
LogLevelMax=warning
StateDirectory=ingot/collect
LogsDirectory=journal/remote
TimeoutStopSec=90
{})";

constexpr std::string_view nginx_config =
    R"(# Records of nodes, over mutual TLS. A server of its own: it shares nothing with one that serves models.
worker_processes auto;
pid /run/ingot-collector/pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  # Who sends is who the certificate says; the whole subject is the name (`ingot keys issue`).
  map $ssl_client_s_dn $node {{
    default "";
    "~^CN=(?<name>[a-z0-9][a-z0-9-]{{0,62}})$" $name;
  }}
  limit_conn_zone $node zone=node:4m;
  access_log off;
  server_tokens off;
  client_body_temp_path /var/lib/ingot/collector/body;
  proxy_temp_path /var/lib/ingot/collector/proxy;
  fastcgi_temp_path /var/lib/ingot/collector/fastcgi;
  uwsgi_temp_path /var/lib/ingot/collector/uwsgi;
  scgi_temp_path /var/lib/ingot/collector/scgi;
  server {{
    listen {0} ssl;
    listen [::]:{0} ssl;
    ssl_certificate /run/credentials/ingot-collector.service/node.crt;
    ssl_certificate_key /run/credentials/ingot-collector.service/node.key;
    ssl_client_certificate /etc/ingot/tls-ca.crt;
    ssl_verify_client on;
    ssl_verify_depth 1;
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    # More than a node's whole queue: a node that was cut off for long delivers it in one piece.
    client_max_body_size {1}m;
    client_body_buffer_size 256k;
    client_body_timeout 60s;
    limit_conn node 4;
    location = /upload {{
      if ($node = "") {{ return 403; }}
      limit_except POST {{ deny all; }}
      proxy_pass http://unix:/run/ingot-collect:/upload;
      proxy_http_version 1.0;
      proxy_pass_request_headers off;
      proxy_set_header Host collector;
      proxy_set_header X-Ingot-Node $node;
      proxy_read_timeout 600s;
    }}
    location / {{ return 404; }}
  }}
}}
)";

constexpr std::string_view nginx_unit = R"([Unit]
Description=Receive records of nodes
ConditionPathExists=/var/lib/ingot/identity/node.crt
RequiresMountsFor=/var/lib/ingot /var/log
Wants=ingot-identity.service
After=ingot-identity.service network.target ingot-collect.socket
Requires=ingot-collect.socket
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/sbin/nginx -e stderr -c /etc/ingot/collector.nginx.conf -g 'daemon off;'
ExecReload=/bin/kill -HUP $MAINPID
User=www-data
Group=www-data
StateDirectory=ingot/collector
RuntimeDirectory=ingot-collector
LoadCredential=node.key:/var/lib/ingot/identity/node.key
LoadCredential=node.crt:/var/lib/ingot/identity/node.crt
Restart=always
RestartSec=1
{}SocketBindAllow=tcp:{}
LimitNOFILE=8192
)";

constexpr std::string_view sudo_config =
    R"(# Sessions of sudo on all nodes. %{{hostname}} is what the node calls itself (sudo_logsrvd knows no name of its own for a
# client); that it is one of ours at its address, TLS proves, and each event in the journal has that address.
[server]
listen_address = *:{}(tls)
pid_file = /run/ingot-sudo-logs/pid
server_log = stderr
tls_verify = true
tls_checkpeer = true
tls_cacert = /etc/ingot/tls-ca.crt
tls_cert = /run/credentials/ingot-sudo-logs.service/node.crt
tls_key = /run/credentials/ingot-sudo-logs.service/node.key
[iolog]
iolog_dir = /var/log/sudo-io
iolog_file = %{{hostname}}/%{{user}}/%{{seq}}
iolog_flush = true
iolog_user = systemd-journal-remote
iolog_mode = 0600
log_passwords = false
[eventlog]
log_type = syslog
log_exit = true
log_format = json
)";

constexpr std::string_view sudo_unit = R"([Unit]
Description=Receive recorded sessions of sudo
ConditionPathExists=/var/lib/ingot/identity/node.crt
RequiresMountsFor=/var/lib/ingot /var/log
Wants=ingot-identity.service
After=ingot-identity.service network.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/sbin/sudo_logsrvd -n -f /etc/ingot/sudo_logsrvd.conf
User=systemd-journal-remote
LogsDirectory=sudo-io
RuntimeDirectory=ingot-sudo-logs
LoadCredential=node.key:/var/lib/ingot/identity/node.key
LoadCredential=node.crt:/var/lib/ingot/identity/node.crt
Restart=always
RestartSec=1
{}SocketBindAllow=tcp:{}
)";

// The collector's own records do not travel; they are judged where they are.
constexpr std::string_view own_alerts_unit = R"ini([Unit]
Description=Alerts from the collector's own records
RequiresMountsFor=/var/log/journal
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh -c 'journalctl --follow --lines=0 --output=export | /usr/lib/ingot/ingot-agent alerts --node "$$(hostname)"'
User=systemd-journal-remote
SupplementaryGroups=systemd-journal
SyslogIdentifier=ingot-alerts
Restart=always
RestartSec=1
{})ini";

constexpr std::string_view waiting_path = R"([Unit]
Description=Start receiving when this node is certified

[Path]
PathExists=/var/lib/ingot/identity/node.crt
Unit={}
)";

// journal-remote itself keeps each node's journal within bounds while it writes; every node has a folder of its own, so
// that a loud one only ever pushes out its own records.
constexpr std::string_view remote_config = R"([Remote]
MaxUse={}M
KeepFree=256M
MaxFileSize={}M
)";
constexpr std::string_view sudo_retention = R"(d /var/log/sudo-io 0700 systemd-journal-remote systemd-journal-remote {}d
)";

constexpr std::uint64_t mebibyte = 1u << 20;

}  // namespace

void add_collector(ConfigPart& part, const Profile& profile) {
  const auto& shipping = profile.shipping;
  const auto node_mebibytes = profile.collector.node_bytes / mebibyte;
  add_file(part, "/usr/lib/ingot/collect", collect_script, 0755);
  // Debian's own server, with its welcome page on port 80: the package starts it, nobody here wants it.
  part.removed.emplace_back("/etc/systemd/system/multi-user.target.wants/nginx.service");
  add_unit(part, "ingot-collect.socket", collect_socket, "sockets.target");
  add_unit(part, "ingot-collect@.service", fmt::format(collect_unit, sandbox_of("ingot-collect@.service")), "");
  add_file(part, "/etc/ingot/collector.nginx.conf",
           fmt::format(nginx_config, shipping.port, 4 * shipping.queue_bytes / mebibyte));
  add_unit(part, "ingot-collector.service",
           fmt::format(nginx_unit, sandbox_of("ingot-collector.service"), shipping.port), "");
  add_unit(part, "ingot-collector.path", fmt::format(waiting_path, "ingot-collector.service"), "multi-user.target");
  add_file(part, "/etc/ingot/sudo_logsrvd.conf", fmt::format(sudo_config, shipping.sudo_port));
  add_unit(part, "ingot-sudo-logs.service",
           fmt::format(sudo_unit, sandbox_of("ingot-sudo-logs.service"), shipping.sudo_port), "");
  add_unit(part, "ingot-sudo-logs.path", fmt::format(waiting_path, "ingot-sudo-logs.service"), "multi-user.target");
  add_unit(part, "ingot-alerts.service", fmt::format(own_alerts_unit, sandbox_of("ingot-alerts.service")),
           "multi-user.target");
  add_file(part, "/etc/systemd/journal-remote.conf.d/50-ingot.conf",
           fmt::format(remote_config, node_mebibytes, std::max<std::uint64_t>(8, node_mebibytes / 32)));
  add_file(part, "/usr/lib/tmpfiles.d/ingot-collector.conf", fmt::format(sudo_retention, profile.collector.keep_days));
  for (const auto* unit : {"ingot-collector.service", "ingot-sudo-logs.service", "ingot-collect.socket"})
    part.settings.push_back({SettingArea::unit, unit, "active", std::string(unit_folder) + unit, "Ingot", ""});
  for (const auto port : {shipping.port, shipping.sudo_port})
    for (const auto* host : {"0.0.0.0", "[::]"})
      part.settings.push_back(
          {SettingArea::socket, fmt::format("tcp {}:{}", host, port), "listening",
           port == shipping.port ? "/etc/ingot/collector.nginx.conf" : "/etc/ingot/sudo_logsrvd.conf", "Ingot", ""});
}

}  // namespace ingot::builder::detail
