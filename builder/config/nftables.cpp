#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "ingot/builder/network.hpp"

namespace ingot::builder {
namespace {

constexpr std::array families = {IpFamily::v4, IpFamily::v6};

std::string_view header(IpFamily family) { return family == IpFamily::v4 ? "ip" : "ip6"; }
char digit(IpFamily family) { return family == IpFamily::v4 ? '4' : '6'; }

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::vector<IpRange> of_family(const std::vector<IpRange>& ranges, IpFamily family) {
  std::vector<IpRange> out;
  for (const auto& range : ranges)
    if (range.family() == family) out.push_back(range);
  std::sort(out.begin(), out.end());
  return out;
}

/// Writes the ruleset of one role, plane by plane, and remembers the sets and counters that rules speak of.
class RulesetWriter {
 public:
  RulesetWriter(const Site& site, const SiteRole& role) : site_(site), role_(role) {}
  std::string write();

 private:
  /// "@NAME" of a set with the ranges of one family; empty when there are none.
  std::string set(const std::string& name, IpFamily family, const std::vector<IpRange>& ranges);
  std::string set_of(const std::string& end, const SitePlane& plane, IpFamily family) {
    return set(fmt::format("{}-{}", end, plane.name), family, addresses_on(site_, end, plane.name));
  }
  std::string counter(std::string name) {
    if (!has(counters_, name)) counters_.push_back(name);
    return fmt::format("counter name \"{}\"", name);
  }
  void rule(const std::string& text) { chains_ += fmt::format("    {}\n", text); }
  void note(std::string_view text) { chains_ += fmt::format("    # {}\n", text); }
  void open_chain(std::string_view name) { chains_ += fmt::format("\n  chain {} {{\n", name); }
  void close_chain() { chains_ += "  }\n"; }

  void base_chain(std::string_view hook, std::string_view interface_key, std::string_view prefix);
  void drop(std::string_view where);
  void drop(std::string_view where, std::string_view prefix);
  void large_transfer();
  void states();
  void neighbours_in();
  void neighbours_out();
  void dhcpv6(const SitePlane& plane, std::string_view direction);
  void vteps(const SitePlane& underlay, std::string_view direction);
  void flow_rules(const SitePlane& plane, std::string_view direction);
  void flow_rule(const SiteFlow& flow, const SitePlane& plane, std::string_view direction, const std::string& end,
                 IpFamily family);
  void chain_in(const SitePlane& plane);
  void chain_out(const SitePlane& plane);
  void shared_chains();
  [[nodiscard]] std::vector<IpRange> sources_on(const SitePlane& plane) const;
  [[nodiscard]] static bool has_ipv6(const SitePlane& plane) {
    return std::any_of(plane.subnets.begin(), plane.subnets.end(),
                       [](const auto& subnet) { return subnet.family() == IpFamily::v6; });
  }

  const Site& site_;
  const SiteRole& role_;
  std::map<std::string, std::string> sets_;
  std::vector<std::string> counters_;
  std::string chains_;
};

std::string RulesetWriter::set(const std::string& name, IpFamily family, const std::vector<IpRange>& ranges) {
  std::vector<std::string> elements;
  for (const auto& range : of_family(ranges, family)) elements.push_back(to_text(range));
  if (elements.empty()) return {};
  const auto full = fmt::format("{}-{}", name, digit(family));
  sets_[full] = fmt::format("  set {} {{\n    type {}; flags interval;\n    elements = {{ {} }}\n  }}\n", full,
                            family == IpFamily::v4 ? "ipv4_addr" : "ipv6_addr", fmt::join(elements, ", "));
  return "@" + full;
}

/// Everybody who may send on a plane: its subnets, and the zones behind it.
std::vector<IpRange> RulesetWriter::sources_on(const SitePlane& plane) const {
  std::vector<IpRange> out;
  for (const auto& subnet : plane.subnets) out.push_back(IpRange::of(subnet));
  for (const auto& zone : site_.zones)
    for (const auto& range : subtract(addresses_on(site_, zone.name, plane.name), out)) out.push_back(range);
  return out;
}

/// Log lines have a limit, so that nobody fills the journal from outside; counters and the drop have none. `log` goes
/// to the kernel's log and so into the journal, which is what leaves the node; NFLOG would need a daemon of its own.
/// `prefix` without "ingot-drop-": what starts with "out" is an alert at the collector (verifier/check/alerts.cpp).
void RulesetWriter::drop(std::string_view where, std::string_view prefix) {
  rule(fmt::format("limit rate 10/second burst 20 packets log prefix \"ingot-drop-{}: \" level info", prefix));
  rule(fmt::format("{} drop", counter(fmt::format("{}-dropped", where))));
}
void RulesetWriter::drop(std::string_view where) { drop(where, where); }

/// One line for each connection that this node opened and sent much on; the mark says that it was told. The kernel
/// counts bytes where net.netfilter.nf_conntrack_acct is 1. The packet goes on: this is a notice, not a limit.
void RulesetWriter::large_transfer() {
  constexpr std::uint64_t large_bytes = std::uint64_t{1} << 30;
  rule(
      fmt::format("ct mark & 1 == 0 ct original bytes > {} ct mark set ct mark or 1 log prefix \"ingot-transfer \" "
                  "level info",
                  large_bytes));
}

void RulesetWriter::base_chain(std::string_view hook, std::string_view interface_key, std::string_view prefix) {
  open_chain(hook);
  rule(fmt::format("type filter hook {} priority filter; policy drop;", hook));
  rule(fmt::format("{} \"lo\" accept", interface_key));
  if (prefix == "out") large_transfer();
  std::vector<std::string> targets;
  for (const auto& member : role_.planes) {
    const auto& plane = *site_.plane(member.plane);
    targets.push_back(fmt::format("\"{}\" : goto {}-{}", interface_name(plane), prefix, plane.name));
  }
  rule(fmt::format("{} vmap {{ {} }}", interface_key, fmt::join(targets, ", ")));
  drop(hook, prefix);
  close_chain();
}

void RulesetWriter::states() {
  rule("ct state vmap { established : accept, related : goto related, invalid : goto invalid }");
}

// RFC 4890 "Recommendations for ICMPv6 Firewall Configuration Rules", traffic that must not be dropped: neighbour
// discovery, on the link only (a router would have lowered the hop limit), and multicast listeners, which switches with
// MLD snooping go by. No router discovery: nodes take no advice from the network. Errors come as "related".
void RulesetWriter::neighbours_in() {
  rule("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept");
  rule("icmpv6 type mld-listener-query ip6 saddr fe80::/10 ip6 hoplimit 1 accept");
  // What neighbours tell the switch on every start of an interface is not worth a line in the journal.
  rule("icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit } drop");
}
void RulesetWriter::neighbours_out() {
  rule("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept");
  rule("icmpv6 type mld2-listener-report ip6 daddr ff02::16 ip6 hoplimit 1 accept");
}

/// DHCPv6 begins with a multicast (RFC 8415, 7.1), whose answer is not known as one. DHCPv4 needs nothing: networkd
/// talks through a packet socket until it has an address, and renews by an ordinary flow.
void RulesetWriter::dhcpv6(const SitePlane& plane, std::string_view direction) {
  if (plane.addressing != Addressing::dhcp || !has_ipv6(plane)) return;
  if (direction == "out")
    rule("ip6 saddr fe80::/10 ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept");
  else
    rule("ip6 saddr fe80::/10 ip6 daddr fe80::/10 udp sport 547 udp dport 546 accept");
}

/// The kernel's VXLAN device takes packets from any source, so the list of VTEPs is kept here. Without connection
/// tracking's word: each direction has source ports of its own, and a state that was made by something else must not
/// open the port.
void RulesetWriter::vteps(const SitePlane& underlay, std::string_view direction) {
  for (const auto& overlay : site_.planes) {
    if (overlay.underlay != underlay.name) continue;
    if (role_.on(overlay.name) != nullptr) {
      std::vector<IpRange> peers;
      for (const auto& vtep : overlay.vteps) peers.push_back({vtep, vtep});
      const auto family = overlay.vteps.front().family;
      const auto own = set_of(role_.name, underlay, family);
      const auto list = set(fmt::format("vteps-{}", overlay.name), family, peers);
      const bool is_in = direction == "in";
      rule(fmt::format("{0} saddr {1} {0} daddr {2} udp dport {3} {4} accept", header(family), is_in ? list : own,
                       is_in ? own : list, overlay.port, counter(fmt::format("vxlan-{}-{}", overlay.name, direction))));
    }
    rule(fmt::format("udp dport {} goto rogue-vtep{}", overlay.port, direction == "in" ? "" : "-out"));
  }
}

void RulesetWriter::flow_rule(const SiteFlow& flow, const SitePlane& plane, std::string_view direction,
                              const std::string& end, IpFamily family) {
  const auto addresses = set_of(end, plane, family);
  if (addresses.empty() || set_of(role_.name, plane, family).empty()) return;
  const bool is_in = direction == "in";
  const auto match = fmt::format("{} {} {}", header(family), is_in ? "saddr" : "daddr", addresses);
  const bool is_rdma = plane.rdma && flow.ports.front().first == roce_port;
  // What a node opens is written down (not RDMA: hardware sends it past the kernel anyway).
  const std::string verdict = is_in || is_rdma ? "accept" : "goto opened";
  const auto counted = counter(fmt::format("flow-{}-{}", flow.name, direction));
  for (const auto protocol : {FlowProtocol::tcp, FlowProtocol::udp, FlowProtocol::icmp}) {
    std::vector<std::string> ports;
    for (const auto& port : flow.ports)
      if (port.protocol == protocol)
        ports.push_back(port.first == port.last ? fmt::format("{}", port.first)
                                                : fmt::format("{}-{}", port.first, port.last));
    if (ports.empty()) continue;
    if (protocol == FlowProtocol::icmp) {
      rule(fmt::format("{} {} type echo-request {} {}", match, family == IpFamily::v4 ? "icmp" : "icmpv6", counted,
                       verdict));
      continue;
    }
    const auto list = ports.size() == 1 ? ports.front() : fmt::format("{{ {} }}", fmt::join(ports, ", "));
    rule(fmt::format("{} {} dport {} {} {}", match, protocol == FlowProtocol::tcp ? "tcp" : "udp", list, counted,
                     verdict));
  }
}

void RulesetWriter::flow_rules(const SitePlane& plane, std::string_view direction) {
  for (const auto& flow : site_.flows) {
    const auto& own = direction == "in" ? flow.to : flow.from;
    if (flow.plane != plane.name || !has(own, role_.name)) continue;
    std::string why = flow.why;
    std::replace_if(
        why.begin(), why.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    note(fmt::format("{}: {}", flow.name, why));
    for (const auto& end : direction == "in" ? flow.from : flow.to)
      for (const auto family : families) flow_rule(flow, plane, direction, end, family);
  }
}

void RulesetWriter::chain_in(const SitePlane& plane) {
  open_chain(fmt::format("in-{}", plane.name));
  if (has_ipv6(plane)) neighbours_in();
  dhcpv6(plane, "in");
  // Who is not of this plane does not send on it, and what is not for this plane's address does not come in by it.
  for (const auto family : families) {
    const auto sources = set(fmt::format("plane-{}", plane.name), family, sources_on(plane));
    const auto own = set_of(role_.name, plane, family);
    if (sources.empty() || own.empty()) {
      rule(fmt::format("meta nfproto {} goto spoofed", family == IpFamily::v4 ? "ipv4" : "ipv6"));
      continue;
    }
    rule(fmt::format("{} saddr != {} goto spoofed", header(family), sources));
    rule(fmt::format("{} daddr != {} goto spoofed", header(family), own));
  }
  vteps(plane, "in");
  states();
  flow_rules(plane, "in");
  drop(fmt::format("in-{}", plane.name), fmt::format("in {}", plane.name));
  close_chain();
}

void RulesetWriter::chain_out(const SitePlane& plane) {
  open_chain(fmt::format("out-{}", plane.name));
  if (has_ipv6(plane)) neighbours_out();
  dhcpv6(plane, "out");
  for (const auto family : families) {
    const auto own = set_of(role_.name, plane, family);
    if (own.empty())
      rule(fmt::format("meta nfproto {} goto spoofed-out", family == IpFamily::v4 ? "ipv4" : "ipv6"));
    else
      rule(fmt::format("{} saddr != {} goto spoofed-out", header(family), own));
  }
  vteps(plane, "out");
  states();
  flow_rules(plane, "out");
  drop(fmt::format("out-{}", plane.name), fmt::format("out {}", plane.name));
  close_chain();
}

void RulesetWriter::shared_chains() {
  open_chain("opened");
  rule("limit rate 100/second burst 200 packets log prefix \"ingot new: \" level info flags skuid");
  rule(fmt::format("{} accept", counter("opened")));
  close_chain();
  open_chain("related");
  note("errors of known connections, path MTU among them; no helper makes other relations");
  rule("meta l4proto { icmp, ipv6-icmp } accept");
  drop("related");
  close_chain();
  for (const std::string_view name : {"invalid", "spoofed", "rogue-vtep"}) {
    open_chain(name);
    drop(name);
    close_chain();
  }
  // A node that sends what it must not is worth an alert; late packets of connections that are over are not.
  for (const std::string_view name : {"spoofed", "rogue-vtep"}) {
    open_chain(fmt::format("{}-out", name));
    drop(fmt::format("{}-out", name), fmt::format("out {}", name));
    close_chain();
  }
}

std::string RulesetWriter::write() {
  base_chain("input", "iifname", "in");
  open_chain("forward");
  rule("type filter hook forward priority filter; policy drop;");
  drop("forward");
  close_chain();
  base_chain("output", "oifname", "out");
  for (const auto& member : role_.planes) {
    chain_in(*site_.plane(member.plane));
    chain_out(*site_.plane(member.plane));
  }
  shared_chains();
  std::string out = fmt::format(
      "# The firewall of the role {}, made from the site.\nflush ruleset\n\ntable inet ingot {{\n", role_.name);
  for (const auto& [name, text] : sets_) out += text;
  std::sort(counters_.begin(), counters_.end());
  for (const auto& name : counters_) out += fmt::format("  counter {} {{ }}\n", name);
  return out + chains_ + "}\n";
}

}  // namespace

std::string nftables_ruleset(const Site& site, const SiteRole& role) { return RulesetWriter(site, role).write(); }

std::string closed_ruleset() {
  return R"(# Nothing comes in and nothing goes out.
flush ruleset

table inet ingot {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
  }
}
)";
}

}  // namespace ingot::builder
