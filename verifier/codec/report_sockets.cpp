// /proc/net/{tcp,udp}: Documentation/networking/proc_net_tcp.rst. Addresses are words in the byte order of the node, of
// bytes in network order; ours are little-endian machines.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "ingot/codec/report.hpp"
#include "report_text.hpp"

namespace ingot::codec {
namespace {

constexpr std::string_view listening = "0A";    // TCP_LISTEN
constexpr std::string_view unconnected = "07";  // TCP_CLOSE: a UDP socket that takes from anywhere

/// Each word's bytes turned round.
std::optional<Buffer> address_bytes(std::string_view hex) {
  auto bytes = parse_hex(hex);
  if (!bytes || (bytes->size() != 4 && bytes->size() != 16)) return std::nullopt;
  for (auto at = bytes->begin(); at != bytes->end(); at += 4) std::reverse(at, at + 4);
  return bytes;
}

/// RFC 5952: the longest run of zero groups, the first of equals, is "::".
std::string ipv6_text(const Buffer& bytes) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  std::size_t first = 8, length = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t run = 0;
    while (i + run < 8 && groups[i + run] == 0) ++run;
    if (run > length) first = i, length = run;
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == first) {
      out += "::";
      i += length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ":";
    out += fmt::format("{:x}", groups[i]);
  }
  return out;
}

std::string address_text(const Buffer& bytes) {
  if (bytes.size() == 4) return fmt::format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
  return fmt::format("[{}]", ipv6_text(bytes));
}

}  // namespace

Result<std::vector<std::string>> decode_listening_sockets(std::string_view protocol, std::string_view text) {
  const bool is_tcp = protocol.starts_with("tcp");
  std::vector<std::string> sockets;
  for (const auto line : lines(text)) {
    const auto fields = words(line);
    if (fields.size() > 1 && fields[0] == "sl") continue;  // the heading
    if (fields.size() < 4) return malformed_line("a line of /proc/net", line);
    const auto colon = fields[1].find(':');
    unsigned port = 0;
    const auto digits = fields[1].substr(std::min(colon + 1, fields[1].size()));
    const auto address = address_bytes(fields[1].substr(0, colon));
    const auto number = std::from_chars(digits.data(), digits.data() + digits.size(), port, 16);
    if (colon == fields[1].npos || !address || number.ec != std::errc{} ||
        number.ptr != digits.data() + digits.size() || port > 0xFFFF)
      return malformed_line("a socket of /proc/net", line);
    if (fields[3] == (is_tcp ? listening : unconnected))
      sockets.push_back(fmt::format("{} {}:{}", is_tcp ? "tcp" : "udp", address_text(*address), port));
  }
  std::sort(sockets.begin(), sockets.end());
  sockets.erase(std::unique(sockets.begin(), sockets.end()), sockets.end());
  return sockets;
}

}  // namespace ingot::codec
