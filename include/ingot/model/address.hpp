// IP addresses, prefixes and ranges of both families as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

enum class IpFamily { v4, v6 };
/// 32 or 128.
unsigned address_bits(IpFamily family);

/// Ordered by family, then as a number.
struct IpAddress {
  IpFamily family = IpFamily::v4;
  std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four, the others are 0

  /// Dotted decimal or RFC 4291 text, without prefix, zone or blanks; nothing for any other text.
  static std::optional<IpAddress> parse(std::string_view text);
  auto operator<=>(const IpAddress&) const = default;
};
/// RFC 5952 text.
std::string to_text(const IpAddress& address);
/// The address after this one; nothing after the last.
std::optional<IpAddress> next(const IpAddress& address);
/// The address before this one; nothing before the first.
std::optional<IpAddress> previous(const IpAddress& address);
/// 127.0.0.0/8 or ::1.
bool is_loopback(const IpAddress& address);

/// A network: bits behind `length` are 0.
struct IpPrefix {
  IpAddress address;
  unsigned length = 0;

  /// "10.0.0.0/24"; nothing for any other text, an address without a length or one with host bits set.
  static std::optional<IpPrefix> parse(std::string_view text);
  /// All addresses of a family.
  static IpPrefix all(IpFamily family) { return {{family, {}}, 0}; }
  [[nodiscard]] IpFamily family() const { return address.family; }
  [[nodiscard]] IpAddress last() const;
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] bool contains(const IpPrefix& other) const;
  auto operator<=>(const IpPrefix&) const = default;
};
std::string to_text(const IpPrefix& prefix);
bool overlap(const IpPrefix& a, const IpPrefix& b);

/// Both ends belong to it; first <= last, of one family.
struct IpRange {
  IpAddress first;
  IpAddress last;

  /// "10.0.0.1", "10.0.0.0/28" or "10.0.0.1-10.0.0.9"; nothing for any other text.
  static std::optional<IpRange> parse(std::string_view text);
  static IpRange of(const IpPrefix& prefix) { return {prefix.address, prefix.last()}; }
  [[nodiscard]] IpFamily family() const { return first.family; }
  [[nodiscard]] bool contains(const IpAddress& address) const { return first <= address && address <= last; }
  [[nodiscard]] bool contains(const IpRange& other) const { return first <= other.first && other.last <= last; }
  auto operator<=>(const IpRange&) const = default;
};
/// One address, or "first-last": what nft takes as an element of an interval set.
std::string to_text(const IpRange& range);
bool overlap(const IpRange& a, const IpRange& b);
/// The fewest prefixes that make up the range, in order.
std::vector<IpPrefix> prefixes_of(const IpRange& range);
/// What is in `from` and in none of `taken`, in order.
std::vector<IpRange> subtract(std::vector<IpRange> from, const std::vector<IpRange>& taken);

}  // namespace ingot
