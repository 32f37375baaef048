// What a profile says of its own node's network: the links that carry the site's planes, and the proxy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ingot/model/address.hpp"

namespace ingot {

enum class BondMode { lacp, active_backup };

/// One network card or a bond of some. Cards are told by what is true of every node of the role, so rarely by MAC.
struct NetworkLink {
  std::string name;  ///< what the site's planes call it; the interface is renamed to it
  // systemd.link(5) [Match]; all that are not empty must match.
  std::string mac;     ///< "52:54:00:12:34:56"
  std::string path;    ///< ID_PATH, globs allowed: "pci-0000:01:00.0"
  std::string driver;  ///< "mlx5_core"
  std::string kernel;  ///< the kernel's name: "eth0"
  // A bond matches nothing itself.
  std::vector<std::string> bond;  ///< its member links
  BondMode mode = BondMode::lacp;
};

/// nginx in front of a model server: TLS, limits, then one upstream.
struct Proxy {
  std::string plane;         ///< the one on which it is meant to be reached; the firewall sees to it
  std::uint16_t port = 443;  ///< TCP
  std::string server_name;   ///< "_": any
  struct Upstream {
    std::string socket;                ///< path of a socket of this machine; empty: an address
    std::optional<IpAddress> address;  ///< loopback, or a node's on a plane
    std::uint16_t port = 0;
  } upstream;
  unsigned rate = 10;                        ///< requests a second from one address
  unsigned burst = 20;                       ///< requests above the rate that wait; more get 429
  unsigned connections = 20;                 ///< from one address at a time
  std::uint64_t body_size_bytes = 1u << 20;  ///< of a request
  unsigned timeout_seconds = 300;            ///< for the upstream's answer
};

}  // namespace ingot
