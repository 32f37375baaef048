#include "ingot/model/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ingot {
namespace {

std::size_t byte_count(IpFamily family) { return address_bits(family) / 8; }

/// `bytes` with every bit from `length` on set to `bit`.
std::array<std::uint8_t, 16> filled_from(std::array<std::uint8_t, 16> bytes, unsigned length, IpFamily family,
                                         unsigned bit) {
  for (unsigned at = length; at < address_bits(family); ++at) {
    const auto mask = static_cast<std::uint8_t>(0x80u >> (at % 8));
    auto& byte = bytes[at / 8];
    byte = static_cast<std::uint8_t>(bit != 0 ? byte | mask : byte & ~mask);
  }
  return bytes;
}

}  // namespace

unsigned address_bits(IpFamily family) { return family == IpFamily::v4 ? 32 : 128; }

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  IpAddress out;
  out.family = text.find(':') == std::string_view::npos ? IpFamily::v4 : IpFamily::v6;
  const int kind = out.family == IpFamily::v4 ? AF_INET : AF_INET6;
  if (inet_pton(kind, terminated.c_str(), out.bytes.data()) != 1) return std::nullopt;
  return out;
}

std::string to_text(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int kind = address.family == IpFamily::v4 ? AF_INET : AF_INET6;
  return inet_ntop(kind, address.bytes.data(), text.data(), text.size());
}

std::optional<IpAddress> next(const IpAddress& address) {
  auto out = address;
  for (auto at = byte_count(address.family); at-- > 0;)
    if (++out.bytes[at] != 0) return out;
  return std::nullopt;
}

std::optional<IpAddress> previous(const IpAddress& address) {
  auto out = address;
  for (auto at = byte_count(address.family); at-- > 0;)
    if (out.bytes[at]-- != 0) return out;
  return std::nullopt;
}

bool is_loopback(const IpAddress& address) {
  if (address.family == IpFamily::v4) return address.bytes[0] == 127;
  return to_text(address) == "::1";
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || code != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (length > address_bits(address->family) || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  if (filled_from(address->bytes, length, address->family, 0) != address->bytes) return std::nullopt;
  return IpPrefix{*address, length};
}

IpAddress IpPrefix::last() const { return {address.family, filled_from(address.bytes, length, address.family, 1)}; }

bool IpPrefix::contains(const IpAddress& other) const {
  return other.family == address.family && address <= other && other <= last();
}

bool IpPrefix::contains(const IpPrefix& other) const { return other.length >= length && contains(other.address); }

std::string to_text(const IpPrefix& prefix) { return fmt::format("{}/{}", to_text(prefix.address), prefix.length); }

bool overlap(const IpPrefix& a, const IpPrefix& b) { return a.contains(b) || b.contains(a); }

std::optional<IpRange> IpRange::parse(std::string_view text) {
  if (const auto prefix = IpPrefix::parse(text)) return of(*prefix);
  const auto dash = text.find('-');
  const auto first = IpAddress::parse(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : IpAddress::parse(text.substr(dash + 1));
  if (!first || !last || first->family != last->family || *last < *first) return std::nullopt;
  return IpRange{*first, *last};
}

std::string to_text(const IpRange& range) {
  if (range.first == range.last) return to_text(range.first);
  return fmt::format("{}-{}", to_text(range.first), to_text(range.last));
}

bool overlap(const IpRange& a, const IpRange& b) {
  return a.family() == b.family() && a.first <= b.last && b.first <= a.last;
}

std::vector<IpRange> subtract(std::vector<IpRange> from, const std::vector<IpRange>& taken) {
  for (const auto& hole : taken) {
    std::vector<IpRange> left;
    for (const auto& range : from) {
      if (!overlap(range, hole)) {
        left.push_back(range);
        continue;
      }
      if (range.first < hole.first) left.push_back({range.first, *previous(hole.first)});
      if (hole.last < range.last) left.push_back({*next(hole.last), range.last});
    }
    from = std::move(left);
  }
  std::sort(from.begin(), from.end());
  return from;
}

std::vector<IpPrefix> prefixes_of(const IpRange& range) {
  std::vector<IpPrefix> out;
  std::optional<IpAddress> at = range.first;
  while (at && *at <= range.last) {
    IpPrefix widest{*at, address_bits(at->family)};
    // One bit shorter at a time, as long as it starts where we are and stays inside.
    for (unsigned length = widest.length; length-- > 0;) {
      const auto mask = static_cast<std::uint8_t>(0x80u >> length % 8);
      if ((at->bytes[length / 8] & mask) != 0) break;
      const IpPrefix wider{*at, length};
      if (range.last < wider.last()) break;
      widest = wider;
    }
    out.push_back(widest);
    at = next(widest.last());
  }
  return out;
}

}  // namespace ingot
