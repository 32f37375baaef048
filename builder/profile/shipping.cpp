// [shipping] and [collector]: records leave the node, and somebody takes them in.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/builder/profile.hpp"
#include "ingot/crypto/chain.hpp"
#include "layer.hpp"

namespace ingot::builder {
namespace detail {
namespace {

constexpr std::uint64_t mebibyte = 1u << 20;
/// journald's files are 8 MiB at least, and it needs several of them to drop the oldest (journald.conf(5)).
constexpr std::uint64_t least_queue_bytes = 64 * mebibyte;
constexpr std::uint64_t least_runtime_bytes = 16 * mebibyte;
constexpr std::uint64_t largest_queue_bytes = std::uint64_t{1} << 40;
/// Of the data partition: what queue and identity leave for file system, host keys and logs that are no journal.
constexpr std::uint64_t beside_queue_bytes = 128 * mebibyte;

/// What the nodes' and the collector's halves run.
constexpr std::string_view node_packages[] = {"systemd-journal-remote", "openssl", "e2fsprogs"};
constexpr std::string_view collector_packages[] = {"nginx-light", "sudo"};

/// RFC 1123, "Host Names and Numbers", or an address: what can stand in a URL, an IPv6 address without its brackets.
bool is_host(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
  };
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), fits) && text.front() != '-' &&
         text.front() != '.' && text.back() != '-' && text.back() != '.';
}

Result<void> apply_port(std::uint16_t& into, const TableReader& table, std::string_view key) {
  // From 1024 on, so that no daemon of ours needs a privilege to listen.
  if (const auto port = TRY(table.integer(key, 1024, 65535))) into = static_cast<std::uint16_t>(port->value);
  return {};
}

Result<void> apply_bytes(std::uint64_t& into, const TableReader& table, std::string_view key, std::uint64_t least) {
  const auto size = TRY(table.size(key));
  if (!size) return {};
  if (size->value < least || size->value > largest_queue_bytes || size->value % mebibyte != 0)
    return wrong(size->at, fmt::format("{} is {} bytes, expected whole MiB, {} MiB to 1 TiB", key, size->value,
                                       least / mebibyte));
  into = size->value;
  return {};
}

Result<void> check_authority(const Located<std::string>& source, std::string_view pem) {
  if (pem.find("PRIVATE KEY") != std::string_view::npos)
    return wrong(
        source.at, fmt::format("ca \"{}\" is a private key: it would be in every image", source.value),
        "give the authority's certificate (\"BEGIN CERTIFICATE\"); make new keys if an image was built from it");
  const auto certificate = crypto::Certificate::from_pem(pem);
  if (!certificate)
    return wrong(source.at, fmt::format("ca \"{}\": {}", source.value, certificate.error().message),
                 "give the authority's certificate in PEM, as `ingot keys init` writes it to tls-ca.crt");
  if (!crypto::is_authority(*certificate))
    return wrong(source.at,
                 fmt::format("ca \"{}\" is the certificate of {}, which may not sign others", source.value,
                             certificate->subject()),
                 "give the certificate of the authority that signed it");
  return {};
}

}  // namespace

Result<void> apply_shipping(Draft& draft, const TableReader& table, const std::string& folder) {
  TRY(table.only({"enabled", "collector", "port", "sudo_port", "ca", "queue", "runtime_queue", "notice_at"}));
  auto& shipping = draft.profile.shipping;
  shipping.at = table.at();
  shipping.enabled = true;
  if (const auto enabled = TRY(table.boolean("enabled"))) shipping.enabled = enabled->value;
  if (const auto host = TRY(table.text("collector"))) {
    if (!is_host(host->value))
      return wrong(host->at, fmt::format("collector is \"{}\", expected a host name or address", host->value),
                   "write it in small letters as its certificate names it, without scheme and port");
    shipping.collector = host->value;
  }
  TRY(apply_port(shipping.port, table, "port"));
  TRY(apply_port(shipping.sudo_port, table, "sudo_port"));
  if (shipping.port == shipping.sudo_port)
    return wrong(table.at(), fmt::format("port and sudo_port are both {}", shipping.port), "give two ports");
  if (const auto ca = TRY(table.text("ca"))) {
    const auto pem = TRY(read_profile_file(*ca, "ca", folder));
    TRY(check_authority(*ca, as_text(pem)));
    shipping.ca = std::string(as_text(pem));
  }
  TRY(apply_bytes(shipping.queue_bytes, table, "queue", least_queue_bytes));
  TRY(apply_bytes(shipping.runtime_bytes, table, "runtime_queue", least_runtime_bytes));
  if (const auto percent = TRY(table.integer("notice_at", 1, 99)))
    shipping.notice_percent = static_cast<int>(percent->value);
  return {};
}

Result<void> apply_collector(Draft& draft, const TableReader& table) {
  TRY(table.only({"enabled", "node_storage", "keep_days"}));
  auto& collector = draft.profile.collector;
  collector.enabled = true;
  if (const auto enabled = TRY(table.boolean("enabled"))) collector.enabled = enabled->value;
  TRY(apply_bytes(collector.node_bytes, table, "node_storage", least_queue_bytes));
  if (const auto days = TRY(table.integer("keep_days", 1, 3650))) collector.keep_days = static_cast<int>(days->value);
  return {};
}

Result<void> finish_shipping(const Draft& draft) {
  const auto& [shipping, collector] = std::tie(draft.profile.shipping, draft.profile.collector);
  if (collector.enabled && !shipping.enabled)
    return wrong(draft.end, "[collector] takes in what others ship, and this profile ships nothing",
                 "add a [shipping] table, or extend a profile that has one");
  if (!shipping.enabled) return {};
  const auto* volume = draft.profile.state_volume();
  const auto data = draft.profile.state_bytes();
  if (data == 0)
    return wrong(shipping.at, "[shipping] needs persistent storage for its queue and the node's TLS identity",
                 "add data_size = \"2GiB\" to [disk], or a [[volume]] for /var/lib/ingot");
  const auto queue = collector.enabled ? collector.node_bytes + shipping.queue_bytes : shipping.queue_bytes;
  if (data < queue + beside_queue_bytes)
    return wrong(
        shipping.at,
        fmt::format("{} is {} MiB, expected at least {} MiB: {} MiB of journal, {} MiB beside them",
                    volume != nullptr ? fmt::format("the volume \"{}\"", volume->name) : "data_size", data / mebibyte,
                    (queue + beside_queue_bytes) / mebibyte, queue / mebibyte, beside_queue_bytes / mebibyte),
        fmt::format("raise {}, or lower queue (collector: node_storage)",
                    volume != nullptr ? "its size" : "data_size of [disk]"));
  TRY(check_packages(draft, shipping.at, "[shipping]", node_packages));
  return collector.enabled ? check_packages(draft, shipping.at, "[collector]", collector_packages) : Result<void>{};
}

}  // namespace detail

Result<void> complete_shipping(Profile& profile, const ShippingDefaults& defaults) {
  auto& shipping = profile.shipping;
  if (!shipping.enabled) return {};
  if (shipping.collector.empty()) shipping.collector = defaults.collector;
  if (shipping.collector.empty())
    return detail::wrong(shipping.at, "[shipping] has no collector, and the site names none",
                         "give collector = \"HOST\", or a collector role in the site file");
  if (!shipping.ca.empty()) return {};
  if (defaults.ca.empty())
    return detail::wrong(shipping.at,
                         fmt::format("the collector {} has no certificate: no authority is given", shipping.collector),
                         "give ca = \"FILE.crt\", or make a key folder with tls-ca (`ingot keys init`)");
  TRY(detail::check_authority({defaults.ca_path, {defaults.ca_path, 1, 1}}, defaults.ca));
  shipping.ca = defaults.ca;
  return {};
}

}  // namespace ingot::builder
