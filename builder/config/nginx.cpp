#include <fmt/format.h>

#include "ingot/builder/network.hpp"
#include "sandbox.hpp"

namespace ingot::builder {
namespace {

// Where the certificate and its key are on persistent storage, and what nginx sees of them: systemd reads them as root
// and hands copies to the service alone (systemd.exec(5), LoadCredential=), so nginx itself never is root.
constexpr std::string_view stored_certificate = "/var/lib/ingot/tls/proxy.crt";
constexpr std::string_view stored_key = "/var/lib/ingot/tls/proxy.key";
constexpr std::string_view credentials = "/run/credentials/nginx.service";

/// Mozilla's guidelines for servers, version 5.7, "Intermediate": TLS 1.2 with forward secrecy and AEAD only, TLS 1.3.
constexpr std::string_view ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// Start, reload and stop without the forking start and root's PID file of Debian's unit.
constexpr std::string_view unit = R"([Unit]
ConditionPathExists={certificate}
ConditionPathExists={key}
After=ingot-network.service

[Service]
Type=exec
PIDFile=
ExecStartPre=
ExecStart=
ExecStart=/usr/sbin/nginx -e stderr -g 'daemon off;'
ExecReload=
ExecReload=/usr/sbin/nginx -e stderr -s reload
ExecStop=
KillSignal=SIGQUIT
TimeoutStopSec=30
Restart=on-failure
RestartSec=5
User=www-data
Group=www-data
LoadCredential=proxy.crt:{certificate}
LoadCredential=proxy.key:{key}
RuntimeDirectory=nginx
RuntimeDirectoryMode=0700
LogsDirectory=
SocketBindAllow=tcp:{port}
LimitNOFILE=65536
{sandbox})";

// Limits hold where requests are proxied: nginx skips limit_req for `return` and the like, so there is one location and
// it proxies. 429 and not 503: it is the client that is asked to slow down (RFC 6585, 4).
constexpr std::string_view configuration = R"(# The proxy in front of the model server.
worker_processes auto;
pid /run/nginx/nginx.pid;
error_log stderr warn;

events {{
  worker_connections 4096;
}}

http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  server_tokens off;
  access_log syslog:server=unix:/dev/log,nohostname,tag=nginx combined;
  client_body_temp_path /run/nginx/body;
  proxy_temp_path /run/nginx/proxy;
  fastcgi_temp_path /run/nginx/fastcgi;
  uwsgi_temp_path /run/nginx/uwsgi;
  scgi_temp_path /run/nginx/scgi;

  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers {ciphers};
  ssl_prefer_server_ciphers off;
  ssl_ecdh_curve X25519:prime256v1:secp384r1;
  ssl_session_cache shared:tls:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;
  ssl_early_data off;

  # Whoever opens connections and says nothing loses them.
  client_header_timeout 10s;
  client_body_timeout 30s;
  send_timeout 30s;
  keepalive_timeout 30s;
  keepalive_requests 1000;
  reset_timedout_connection on;
  client_header_buffer_size 1k;
  large_client_header_buffers 4 8k;
  client_max_body_size {body};

  limit_req_zone $binary_remote_addr zone=requests:10m rate={rate}r/s;
  limit_req_status 429;
  limit_conn_zone $binary_remote_addr zone=connections:10m;
  limit_conn_status 429;

  upstream model {{
    server {upstream};
    keepalive 32;
  }}

  server {{
    listen {port} ssl default_server;
    listen [::]:{port} ssl default_server;
    http2 on;
    server_name {name};
    ssl_certificate {credentials}/proxy.crt;
    ssl_certificate_key {credentials}/proxy.key;
    add_header Strict-Transport-Security "max-age=63072000; includeSubDomains" always;
    add_header X-Content-Type-Options nosniff always;
{other_names}
    location / {{
      limit_req zone=requests burst={burst} nodelay;
      limit_conn connections {connections};
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_hide_header X-Powered-By;
      proxy_connect_timeout 5s;
      proxy_send_timeout 30s;
      proxy_read_timeout {timeout}s;
      proxy_intercept_errors off;
    }}
  }}
}}
)";

std::string upstream_text(const Proxy::Upstream& upstream) {
  if (!upstream.address) return "unix:" + upstream.socket;
  const bool is_ipv6 = upstream.address->family == IpFamily::v6;
  return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", to_text(*upstream.address), is_ipv6 ? "]" : "", upstream.port);
}

ExtraFile text_file(std::string path, std::string_view text) { return {std::move(path), to_buffer(as_bytes(text))}; }

}  // namespace

std::string nginx_configuration(const Proxy& proxy) {
  // A request for another name is none of ours: the connection ends without an answer.
  const std::string other_names =
      proxy.server_name == "_" ? ""
                               : fmt::format("    if ($host != {}) {{\n      return 444;\n    }}\n", proxy.server_name);
  return fmt::format(configuration, fmt::arg("ciphers", ciphers), fmt::arg("body", proxy.body_size_bytes),
                     fmt::arg("rate", proxy.rate), fmt::arg("upstream", upstream_text(proxy.upstream)),
                     fmt::arg("port", proxy.port), fmt::arg("name", proxy.server_name),
                     fmt::arg("credentials", credentials), fmt::arg("burst", proxy.burst),
                     fmt::arg("connections", proxy.connections), fmt::arg("timeout", proxy.timeout_seconds),
                     fmt::arg("other_names", other_names));
}

Result<ConfigPart> render_proxy(const Profile& profile) {
  ConfigPart part;
  if (!profile.proxy) return part;
  const std::string drop_in = "/etc/systemd/system/nginx.service.d/10-ingot.conf";
  part.files.push_back(text_file("/etc/nginx/nginx.conf", nginx_configuration(*profile.proxy)));
  part.files.push_back(text_file(
      drop_in,
      fmt::format(unit, fmt::arg("certificate", stored_certificate), fmt::arg("key", stored_key),
                  fmt::arg("port", profile.proxy->port), fmt::arg("sandbox", detail::sandbox_of("nginx.service")))));
  part.links.push_back(
      {"/etc/systemd/system/multi-user.target.wants/nginx.service", "/usr/lib/systemd/system/nginx.service"});
  part.removed.push_back("/etc/nginx/sites-enabled/default");
  part.settings.push_back({SettingArea::unit, "nginx.service", "active", drop_in, "Ingot", ""});
  return part;
}

}  // namespace ingot::builder
