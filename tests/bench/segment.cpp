// The proof over the shipped roles, and over a site as large as they get.
#include "ingot/builder/segment.hpp"

#include <fmt/format.h>

#include <chrono>

#include "bench.hpp"
#include "ingot/builder/process.hpp"

namespace ingot::bench {
namespace {

constexpr int role_count = 50, plane_count = 4, flow_count = 10;  // flows on each plane

bool sends(int role, int flow) { return (role * 7 + flow) % 2 == 0; }
bool receives(int role, int flow) { return (role / 2 + flow) % 2 == 0; }
std::string role_name(int role) { return fmt::format("role{}", role); }
std::string plane_name(int plane) { return fmt::format("plane{}", plane); }
std::string network(int plane, int role, IpFamily family) {
  return family == IpFamily::v4 ? fmt::format("10.{}.{}.0/24", plane, role)
                                : fmt::format("fd00:{}:{}::/64", plane, role);
}
std::uint16_t first_port(int plane, int flow) { return static_cast<std::uint16_t>(1000 + 100 * plane + 10 * flow); }

/// A role's chains of one plane, as people write them: one rule for each peer, family and flow.
std::string plane_chain(int role, int plane, std::string_view direction) {
  const bool is_in = direction == "in";
  std::string out = fmt::format(
      "  chain {}-{} {{\n    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n"
      "    ct state vmap {{ established : accept, related : accept, invalid : drop }}\n",
      direction, plane_name(plane));
  for (int flow = 0; flow < flow_count; ++flow) {
    if (is_in ? !receives(role, flow) : !sends(role, flow)) continue;
    for (int peer = 0; peer < role_count; ++peer) {
      if (is_in ? !sends(peer, flow) : !receives(peer, flow)) continue;
      for (const auto family : {IpFamily::v4, IpFamily::v6})
        out += fmt::format("    {0} {1} {2} {0} {3} {4} tcp dport {{ {5}, {6}-{7} }} ct state new counter accept\n",
                           family == IpFamily::v4 ? "ip" : "ip6", is_in ? "saddr" : "daddr",
                           network(plane, peer, family), is_in ? "daddr" : "saddr", network(plane, role, family),
                           first_port(plane, flow), first_port(plane, flow) + 2, first_port(plane, flow) + 5);
    }
  }
  return out + "    counter drop\n  }\n";
}

std::string ruleset(int role) {
  std::string chains, in, out;
  for (int plane = 0; plane < plane_count; ++plane) {
    chains += plane_chain(role, plane, "in") + plane_chain(role, plane, "out");
    in += fmt::format("{}\"{}\" : goto in-{}", plane == 0 ? "" : ", ", plane_name(plane), plane_name(plane));
    out += fmt::format("{}\"{}\" : goto out-{}", plane == 0 ? "" : ", ", plane_name(plane), plane_name(plane));
  }
  return fmt::format(
      "table inet t {{\n{}  chain input {{\n    type filter hook input priority filter; policy drop;\n    iifname vmap "
      "{{ {} }}\n  }}\n  chain output {{\n    type filter hook output priority filter; policy drop;\n    oifname vmap "
      "{{ "
      "{} }}\n  }}\n}}\n",
      chains, in, out);
}

check::Topology large_site() {
  check::Topology out;
  for (int role = 0; role < role_count; ++role) {
    check::Host host{role_name(role), {}, false, codec::NftRuleset{}};
    for (int plane = 0; plane < plane_count; ++plane) {
      check::Interface one;
      one.name = one.segment = plane_name(plane);
      for (const auto family : {IpFamily::v4, IpFamily::v6})
        one.addresses.push_back(*IpRange::parse(network(plane, role, family)));
      one.routes = {*IpRange::parse(fmt::format("10.{}.0.0/16", plane)),
                    *IpRange::parse(fmt::format("fd00:{}::/32", plane))};
      host.interfaces.push_back(std::move(one));
    }
    out.hosts.push_back(std::move(host));
  }
  for (int plane = 0; plane < plane_count; ++plane)
    for (int flow = 0; flow < flow_count; ++flow) {
      check::Flow one{fmt::format("flow {} on {}", flow, plane), {}, {}, plane_name(plane), {}};
      for (int role = 0; role < role_count; ++role) {
        if (sends(role, flow)) one.from.push_back(role_name(role));
        if (receives(role, flow)) one.to.push_back(role_name(role));
      }
      const auto port = first_port(plane, flow);
      one.services = {{6, port, port}, {6, static_cast<std::uint16_t>(port + 2), static_cast<std::uint16_t>(port + 5)}};
      out.flows.push_back(std::move(one));
    }
  out.infrastructure = {{{58, 135, 136}, {}}};
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Result<void> bench_segment(const Bench& bench) {
  std::vector<double> seconds;
  for (int run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    TRY(builder::run_checked({.argv = {bench.ingot, "segment", "check", bench.source + "/profiles/site.toml"}}));
    seconds.push_back(seconds_since(start));
  }
  const auto shipped = median(seconds);
  row("segment check of the shipped roles, rulesets through the kernel", fmt::format("{:.2f} s", shipped), "-",
      fmt::format("{:.2f} of 1 s (<= 1)", shipped));

  auto topology = large_site();
  double reading = 0;  // by nft, each in a process of its own
  for (int role = 0; role < role_count; ++role) {
    const auto text = ruleset(role);
    const auto start = std::chrono::steady_clock::now();
    TRY(builder::run_checked({.argv = {"unshare", "--net", "nft", "-c", "-f", "-"},
                              .standard_input = [&](const auto& write) { return write(as_bytes(text)); }}));
    reading += seconds_since(start);
    topology.hosts[static_cast<std::size_t>(role)].ruleset = TRY(builder::ruleset_of_kernel(text));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto report = TRY(check::check_segments(topology));
  const auto large = seconds_since(start);
  if (!report.violations.empty())
    return fail(ErrorCode::internal, "the large site of the bench does not hold: " + check::render_segments(report));
  row(fmt::format("proof over {} roles of {} rules, {} claims, one core", role_count,
                  report.rule_count / static_cast<std::size_t>(role_count), report.claim_count),
      fmt::format("{:.2f} s", large), "-", fmt::format("{:.2f} of 10 s (<= 1)", large / 10));
  row("the same / nft -c of the same rulesets", fmt::format("{:.2f} s", large), fmt::format("{:.2f} s", reading),
      fmt::format("{:.2f} of its time", large / reading));
  return {};
}

}  // namespace ingot::bench
