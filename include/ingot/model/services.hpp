// Ports that the parts of a site agree on.
#pragma once

#include <cstdint>

namespace ingot {

inline constexpr std::uint16_t ssh_port = 22;
inline constexpr std::uint16_t dhcp_port = 67;         ///< server's side, RFC 2131
inline constexpr std::uint16_t dhcpv6_port = 547;      ///< server's side, RFC 8415
inline constexpr std::uint16_t ntp_port = 123;         ///< RFC 5905
inline constexpr std::uint16_t journal_port = 19532;   ///< systemd-journal-remote(8), behind the collector's proxy
inline constexpr std::uint16_t sudo_log_port = 30344;  ///< sudo_logsrvd(8), TLS

}  // namespace ingot
