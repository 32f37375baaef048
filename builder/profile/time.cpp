#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view server_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-";

}  // namespace

bool is_prefix(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return false;
  unsigned length = 0;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, length);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return false;
  std::array<std::uint8_t, 16> bytes{};
  const auto address = text.substr(0, slash);
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return false;
  const unsigned bits = is_v4 ? 32 : 128;
  if (length == 0 || length > bits) return false;
  for (unsigned bit = length; bit < bits; ++bit)
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  return true;
}

Result<void> apply_time(Draft& draft, const TableReader& table) {
  TRY(table.only({"servers", "serves"}));
  auto& time = draft.profile.time;
  if (const auto servers = TRY(table.texts("servers"))) {
    time.servers.clear();
    for (const auto& server : *servers) {
      if (server.value.empty() || server.value.size() > 253 ||
          server.value.find_first_not_of(server_characters) != std::string::npos)
        return wrong(server.at, fmt::format("servers has \"{}\", expected an address or a name", server.value));
      time.servers.push_back(server.value);
    }
  }
  if (const auto serves = TRY(table.texts("serves"))) {
    time.serves.clear();
    for (const auto& prefix : *serves) {
      if (!is_prefix(prefix.value))
        return wrong(prefix.at,
                     fmt::format("serves has \"{}\", expected a network such as \"10.0.0.0/24\"", prefix.value));
      time.serves.push_back(prefix.value);
    }
  }
  return {};
}

void finish_time(Draft& draft) {
  auto& profile = draft.profile;
  if (!profile.site || profile.site->time.empty()) return;
  const auto& site = *profile.site;
  const auto names = [](const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  std::vector<std::string> servers, serves;
  for (const auto& flow : site.flows) {
    const bool is_time = std::any_of(flow.ports.begin(), flow.ports.end(), [](const FlowPort& port) {
      return port.contains({FlowProtocol::udp, 123, 123});
    });
    if (!is_time || !names(flow.to, site.time)) continue;
    // As with the collector: a role of several nodes is known by its first address.
    const auto addresses = addresses_on(site, site.time, flow.plane);
    if (names(flow.from, profile.role) && !addresses.empty()) servers.push_back(to_text(addresses.front().first));
    if (profile.role != site.time) continue;
    for (const auto& source : flow.from)
      for (const auto& range : addresses_on(site, source, flow.plane))
        for (const auto& prefix : prefixes_of(range)) serves.push_back(to_text(prefix));
  }
  if (profile.time.servers.empty()) profile.time.servers = std::move(servers);
  if (profile.time.serves.empty()) profile.time.serves = std::move(serves);
}

}  // namespace ingot::builder::detail
