#include <arpa/inet.h>
#include <fmt/format.h>

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

}  // namespace ingot::builder::detail
