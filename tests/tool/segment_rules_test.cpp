// The meaning of rules, taken from the kernel: random packets are sent to a node with the ruleset, and what its
// programs got is what the analysis said of each.
#include <random>

#include "network_lab.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

constexpr std::size_t packets_a_ruleset = 400;
constexpr std::uint8_t protocol_icmp = 1, protocol_tcp = 6, protocol_udp = 17;

/// What all rulesets start from: chains to jump to, and two interfaces on which everything comes in.
struct Ruleset {
  const char* name;
  const char* text;
  bool open = false;  ///< has expressions that the analysis does not know: `depends` is an answer, too
};

const Ruleset rulesets[] = {
    {"no ruleset at all", ""},
    {"policy drop, one port",
     "table inet t { chain c { type filter hook input priority 0; policy drop; tcp dport 22 accept\n }\n }"},
    {"an accept ends its own chain only", R"(table inet t {
      chain a { type filter hook input priority 0; policy drop; tcp dport { 22, 80 } accept
      }
      chain b { type filter hook input priority 10; policy accept; tcp dport 80 drop
      }
      })"},
    {"priorities, not order of writing", R"(table inet t {
      chain late { type filter hook input priority 5; policy accept; udp dport 53 drop
      }
      chain early { type filter hook input priority -5; policy accept; udp dport 53 accept
      }
      })"},
    {"tables of one family see that family only", R"(
      table ip t { chain c { type filter hook input priority 0; policy drop; tcp dport 22 accept
      }
      }
      table ip6 t { chain c { type filter hook input priority 0; policy accept; tcp dport 22 drop
      }
      })"},
    {"jump comes back, goto does not", R"(table inet t {
      chain j { tcp dport 22 accept
      }
      chain g { tcp dport 80 accept
      }
      chain c { type filter hook input priority 0; policy drop
        ip saddr 10.1.0.2 jump j
        ip saddr 10.1.0.3 goto g
        tcp dport 443 accept
      }
      })"},
    {"goto from a called chain returns to the caller's caller", R"(table inet t {
      chain deep { tcp dport 22 accept
      }
      chain mid { goto deep
        tcp dport 443 accept
      }
      chain c { type filter hook input priority 0; policy drop
        jump mid
        tcp dport 80 accept
      }
      })"},
    {"return", R"(table inet t {
      chain j { tcp dport 80 return
        tcp dport { 22, 80 } accept
      }
      chain c { type filter hook input priority 0; policy drop
        jump j
        ip saddr 10.1.0.2 return
        udp dport 53 accept
      }
      })"},
    {"verdict maps", R"(table inet t {
      map m { type ipv4_addr . inet_service : verdict; flags interval
        elements = { 10.1.0.0/30 . 22 : accept, 10.1.0.4 . 80-443 : jump j } }
      chain j { udp dport 53 drop
        accept
      }
      chain c { type filter hook input priority 0; policy drop
        ip saddr . tcp dport vmap @m
        tcp dport vmap { 8080 : accept, 1-100 : continue }
        ip6 saddr fd00:1::3 accept
      }
      })"},
    {"verdict map of interfaces, with a wildcard", R"(table inet t {
      map m { type ifname : verdict; flags interval; elements = { "left" : jump l, "ri*" : accept } }
      chain l { tcp dport 22 accept
      }
      chain c { type filter hook input priority 0; policy drop
        iifname vmap @m
      }
      })"},
    {"sets: intervals, negation, concatenation", R"(table inet t {
      set s { type inet_service; flags interval; elements = { 22, 80-443 } }
      set c { type ipv4_addr . inet_service; flags interval; elements = { 10.1.0.0/30 . 1-100, 10.1.0.4-10.1.0.5 . 8080 } }
      chain c { type filter hook input priority 0; policy drop
        tcp dport != @s ip saddr != { 10.1.0.2, 10.1.0.4 } accept
        ip saddr . tcp dport @c accept
        ip6 saddr != fd00:1::2 udp dport 53 accept
      }
      })"},
    {"concatenation with an interface", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        iifname . ip saddr . tcp dport { "left" . 10.1.0.0/30 . 22, "right" . 10.2.0.2 . 80 } accept
        iifname != "left" ip6 nexthdr udp accept
      }
      })",
     true},
    {"a negated match still wants its protocol", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        tcp dport != 22 accept
        ip saddr != 10.1.0.2 udp dport 53 accept
      }
      })"},
    {"less, greater, ranges", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        tcp dport < 80 accept
        tcp dport >= 8080 accept
        udp dport 53-443 accept
        udp sport > 30000 drop
      }
      })"},
    {"ICMP of both families", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        icmp type echo-request accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        icmp type destination-unreachable icmp code 3 accept
        icmpv6 type echo-request ip6 saddr fd00:1::2 accept
      }
      })"},
    {"protocols by number and name", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        meta l4proto { icmp, gre } accept
        meta nfproto ipv6 meta l4proto udp accept
        ip protocol tcp ip saddr 10.1.0.2 accept
      }
      })"},
    {"ports of any transport", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        meta l4proto { tcp, udp } th dport { 22, 53 } accept
      }
      })"},
    {"addresses with masks", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        ip saddr & 255.255.0.3 == 10.1.0.2 accept
        ip6 saddr & ffff:ffff::3 == fd00:1::2 accept
      }
      })"},
    {"TCP flags and states", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        ct state invalid drop
        ct state established,related accept
        tcp flags syn / fin,syn,rst,ack tcp dport 22 accept
        tcp flags & (fin|ack) != 0 drop
        ct state new udp dport 53 accept
        ct state vmap { new : jump n }
      }
      chain n { tcp dport 80 accept
      }
      })"},
    {"mask on TCP flags", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        tcp flags & (fin | syn) == fin | syn drop
        tcp flags syn accept
      }
      })"},
    {"reject, counters, logs and marks are what they are", R"(table inet t {
      counter k { }
      chain c { type filter hook input priority 0; policy accept
        tcp dport 22 counter name "k" log prefix "x" accept
        tcp dport 80 counter reject with tcp reset
        meta mark set 7 udp dport 53 reject
        ip saddr 10.1.0.3 log group 3 drop
      }
      })"},
    {"prerouting drops are final", R"(table inet t {
      chain p { type filter hook prerouting priority mangle; policy accept
        ip saddr 10.1.0.2 drop
      }
      chain c { type filter hook input priority 0; policy accept; udp dport 53 drop
      }
      })"},
    {"ingress of one device", R"(table netdev t {
      chain i { type filter hook ingress device "left" priority 0; policy accept
        tcp dport 22 drop
      }
      }
      table inet f { chain c { type filter hook input priority 0; policy drop; tcp dport { 22, 80 } accept
      }
      })",
     true},
    {"no tracking", R"(table inet t {
      chain p { type filter hook prerouting priority raw; policy accept
        udp dport 53 notrack
      }
      chain c { type filter hook input priority 0; policy drop
        ct state new accept
      }
      })"},
    {"untracked is a state", R"(table inet t {
      chain p { type filter hook prerouting priority raw; policy accept
        ip saddr 10.1.0.2 udp dport 53 notrack
      }
      chain c { type filter hook input priority 0; policy drop
        ct state untracked accept
        ct state new tcp dport 22 accept
      }
      })"},
    {"a dormant table is not there", R"(table inet t { flags dormant
      chain c { type filter hook input priority 0; policy drop
      }
      })",
     true},
    {"what it does not know may or may not be", R"(table inet t {
      set seen { type ipv4_addr; flags dynamic; size 100
      }
      chain c { type filter hook input priority 0; policy drop
        tcp dport 22 limit rate 2/hour accept
        ip dscp cs1 accept
        tcp dport 80 meta length 40-80 accept
        udp dport 53 ip saddr @seen accept
        udp dport 443 add @seen { ip saddr } accept
        meta mark 0 tcp dport 443 accept
        fib daddr type local tcp dport 8080 accept
        fib saddr . iif oif exists udp dport 80 accept
      }
      })",
     true},
    {"rewritten on the way", R"(table inet t {
      chain p { type filter hook prerouting priority mangle; policy accept
        tcp dport 8080 tcp dport set 80
      }
      chain c { type filter hook input priority 0; policy drop
        tcp dport 80 accept
      }
      })",
     true},
    {"port redirected", R"(table inet t {
      chain p { type nat hook prerouting priority dstnat; policy accept
        tcp dport 8080 redirect to :80
      }
      chain c { type filter hook input priority 0; policy drop
        tcp dport 80 accept
      }
      })",
     true},
    {"raw payload at the ports' place", R"(table inet t {
      chain c { type filter hook input priority 0; policy drop
        meta l4proto tcp @th,16,16 22 accept
      }
      })"},
};

IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }

/// The receiving node: its two interfaces, with the sender beyond each.
check::Host node(codec::NftRuleset ruleset) {
  check::Host host{"node", {}, false, std::move(ruleset)};
  for (const auto& [name, number] : {std::pair{"left", 1}, std::pair{"right", 2}}) {
    check::Interface one;
    one.name = one.segment = name;
    for (const auto& text : {fmt::format("10.{}.0.1", number), fmt::format("fd00:{}::1", number)})
      one.addresses.push_back(IpRange::parse(text).value());
    for (const auto& text : {fmt::format("10.{}.0.0/24", number), fmt::format("fd00:{}::/64", number)})
      one.routes.push_back(IpRange::parse(text).value());
    host.interfaces.push_back(one);
  }
  return host;
}

template <typename T, std::size_t count>
T any_of(const T (&values)[count], std::mt19937& random) {
  return values[random() % count];
}

struct Sent {
  std::string interface;
  check::Packet packet;
};

Sent random_packet(std::mt19937& random, std::uint16_t source_port) {
  const auto side = random() % 2 + 1;
  const bool v6 = random() % 2 == 0;
  const auto sender = random() % 4 + 2;
  Sent out;
  out.interface = side == 1 ? "left" : "right";
  auto& packet = out.packet;
  packet.source = address(v6 ? fmt::format("fd00:{}::{}", side, sender) : fmt::format("10.{}.0.{}", side, sender));
  packet.destination = address(v6 ? fmt::format("fd00:{}::1", side) : fmt::format("10.{}.0.1", side));
  const std::uint8_t protocols[] = {protocol_tcp, protocol_tcp, protocol_udp, protocol_icmp, 47};
  packet.protocol = any_of(protocols, random);
  packet.source_port = source_port;
  const std::uint16_t ports[] = {22, 53, 80, 443, 8080};
  packet.destination_port = any_of(ports, random);
  if (packet.protocol == protocol_tcp) packet.tcp_flags = 2;
  if (packet.protocol == protocol_icmp) {
    packet.protocol = v6 ? 58 : 1;
    packet.destination_port = v6 ? 128 : 8;
    packet.source_port = 0;
  }
  if (packet.protocol == 47) packet.source_port = packet.destination_port = 0;
  return out;
}

}  // namespace

TEST_CASE("segment: what the analysis says of a packet is what the kernel does with it") {
  NetworkLab lab;
  lab.add_node("sender");
  lab.add_node("node");
  for (const auto& [name, number] : {std::pair{"left", 1}, std::pair{"right", 2}}) {
    lab.connect("sender", name, name, {});
    lab.connect("node", name, name, {fmt::format("10.{}.0.1/24", number), fmt::format("fd00:{}::1/64", number)});
    for (int sender = 2; sender < 6; ++sender)
      lab.ip("sender", {fmt::format("addr add 10.{}.0.{}/24 dev {}", number, sender, name),
                        fmt::format("addr add fd00:{}::{}/64 dev {} nodad", number, sender, name)});
  }
  // Rulesets may forbid neighbour discovery: nobody has to ask.
  const auto mac = [&](const std::string& of, const std::string& name) {
    auto text = lab.inside(of, {"cat", "/sys/class/net/" + name + "/address"});
    return text.substr(0, text.find('\n'));
  };
  for (const auto& [name, number] : {std::pair{"left", 1}, std::pair{"right", 2}}) {
    lab.ip("sender",
           {fmt::format("neigh replace 10.{}.0.1 lladdr {} dev {} nud permanent", number, mac("node", name), name),
            fmt::format("neigh replace fd00:{}::1 lladdr {} dev {} nud permanent", number, mac("node", name), name)});
  }
  std::mt19937 random(20260101);
  std::uint16_t port = 20000;
  std::size_t passed_packets = 0, lost_packets = 0, open_packets = 0;
  for (const auto& one : rulesets) {
    INFO(one.name);
    const auto host = node(lab.load("node", one.text));
    auto probes = nlohmann::json::array();
    std::vector<Sent> packets;
    for (std::size_t i = 0; i < packets_a_ruleset; ++i) {
      packets.push_back(random_packet(random, port++));
      if (port == 65000) port = 20000;
      probes.push_back(raw_probe("sender", "node", packets.back().packet));
    }
    const auto passed = lab.send(std::move(probes));
    for (std::size_t i = 0; i < packets.size(); ++i) {
      const auto fate = check::fate_of_incoming(host, packets[i].interface, packets[i].packet);
      passed_packets += passed[i] ? 1 : 0;
      lost_packets += passed[i] ? 0 : 1;
      open_packets += fate == check::Fate::depends ? 1 : 0;
      INFO(to_text(packets[i].packet) << " by " << packets[i].interface);
      if (passed[i]) CHECK(fate != check::Fate::lost);
      if (!passed[i]) CHECK(fate != check::Fate::passes);
      if (!one.open) CHECK(fate != check::Fate::depends);
    }
  }
  CHECK(passed_packets > 1000);
  CHECK(lost_packets > 1000);
  CHECK(open_packets * 10 < passed_packets + lost_packets);
  std::cerr << fmt::format("segment: {} packets passed, {} did not, {} are open\n", passed_packets, lost_packets,
                           open_packets);
}
