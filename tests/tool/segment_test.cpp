// The proof against the world: the site's roles as network namespaces under their own rulesets, and real packets.
#include <chrono>

#include "ruleset_mutations.hpp"
#include "site_lab.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

constexpr IpFamily families[] = {IpFamily::v4, IpFamily::v6};
constexpr std::uint8_t syn = 2, syn_ack = 0x12, ack = 0x10;

const std::string site_path = std::string(INGOT_SOURCE) + "/profiles/site.toml";

/// One end of a trial.
struct Party {
  std::string name;  ///< role or zone
  std::string node;
  IpAddress address;
};

struct Trial {
  Party from;
  Party to;
  std::string plane;
  FlowPort port;
};

/// Every port that the site speaks of: all of them are tried between all who share a plane.
std::vector<FlowPort> ports_of(const Site& site) {
  std::set<FlowPort> out;
  for (const auto& flow : site.flows)
    for (const auto& port : flow.ports)
      for (const auto edge : {port.first, port.last}) out.insert({port.protocol, edge, edge});
  for (const auto& policy : site.policies)
    for (const auto& port : policy.ports) out.insert({port.protocol, port.first, port.first});
  return {out.begin(), out.end()};
}

std::vector<Party> parties_on(const SiteLab& lab, const SitePlane& plane, IpFamily family, int index) {
  std::vector<Party> out;
  for (const auto& role : lab.site.roles)
    if (const auto address = lab.address(role.name, plane.name, family, index))
      out.push_back({role.name, lab.node(role.name, index), *address});
  for (const auto& zone : lab.site.zones)
    if (const auto address = lab.zone_address(zone, family); address && zone.plane == plane.name)
      out.push_back({zone.name, lab.world(plane.name), *address});
  return out;
}

/// Both ways, for there is one of each order.
std::vector<Trial> trials_of(const SiteLab& lab) {
  std::vector<Trial> out;
  for (const auto& plane : lab.site.planes)
    for (const auto family : families)
      for (const auto& from : parties_on(lab, plane, family, 0))
        for (const auto& to : parties_on(lab, plane, family, 1))
          for (const auto& port : ports_of(lab.site))
            if (lab.is_role(from.name) || lab.is_role(to.name)) out.push_back({from, to, plane.name, port});
  return out;
}

std::string text_of(const Trial& trial) {
  return fmt::format("{} {} > {} {} on {}, {}", trial.from.name, to_text(trial.from.address), trial.to.name,
                     to_text(trial.to.address), trial.plane, to_text(trial.port));
}

check::Packet first_packet(const Trial& trial) {
  check::Packet out{
      trial.from.address, trial.to.address, 6, 40000, trial.port.first, syn, check::PacketState::fresh, {}};
  if (trial.port.protocol == FlowProtocol::tcp) return out;
  out.tcp_flags = 0;
  out.protocol = 17;
  if (trial.port.protocol == FlowProtocol::udp) return out;
  const bool v6 = out.source.family == IpFamily::v6;
  out.protocol = v6 ? 58 : 1;
  out.destination_port = v6 ? 128 : 8;
  out.source_port = 0;
  return out;
}

check::Packet answer_to(check::Packet packet) {
  std::swap(packet.source, packet.destination);
  packet.state = check::PacketState::established;
  if (packet.protocol == 6) packet.tcp_flags = syn_ack;
  if (packet.protocol == 1)
    packet.destination_port = 0;
  else if (packet.protocol == 58)
    packet.destination_port = 129;
  else
    std::swap(packet.source_port, packet.destination_port);
  return packet;
}

/// What the analysis says of an exchange: the first packet, an answer, a later packet.
check::Fate fate_of(const check::Topology& topology, const SiteLab& lab, const Trial& trial) {
  const auto host = [&](const std::string& name) {
    return *std::find_if(topology.hosts.begin(), topology.hosts.end(),
                         [&](const auto& one) { return one.name == name; });
  };
  const auto from = host(trial.from.name), to = host(trial.to.name);
  const auto& interface = interface_name(*lab.site.plane(trial.plane));
  const auto first = first_packet(trial);
  auto later = first;
  later.state = check::PacketState::established;
  if (later.protocol == 6) later.tcp_flags = ack;
  const auto answer = answer_to(first);
  check::Fate worst = check::Fate::passes;
  for (const auto fate : {fate_of_outgoing(from, interface, first), fate_of_incoming(to, interface, first),
                          fate_of_outgoing(to, interface, answer), fate_of_incoming(from, interface, answer),
                          fate_of_outgoing(from, interface, later), fate_of_incoming(to, interface, later)}) {
    if (fate == check::Fate::lost) return fate;
    if (fate == check::Fate::depends) worst = fate;
  }
  return worst;
}

nlohmann::json exchange(const Trial& trial) {
  constexpr const char* kinds[] = {"tcp", "udp", "icmp"};
  return {{"kind", kinds[static_cast<std::size_t>(trial.port.protocol)]},
          {"from", trial.from.node},
          {"to", trial.to.node},
          {"source", to_text(trial.from.address)},
          {"destination", to_text(trial.to.address)},
          {"port", trial.port.first}};
}

check::SegmentReport prove(const SiteLab& lab) {
  auto report = check::check_segments(lab.topology());
  if (!report) FAIL(describe(report.error()));
  return *std::move(report);
}

}  // namespace

TEST_CASE("segment: what the proof says of every pair is what real sockets find") {
  SiteLab lab(site_path);
  const auto report = prove(lab);
  INFO(render_segments(report));
  CHECK(report.violations.empty());
  const auto topology = lab.topology();
  const auto trials = trials_of(lab);
  auto probes = nlohmann::json::array();
  for (const auto& trial : trials) probes.push_back(exchange(trial));
  const auto passed = lab.lab.send(std::move(probes));
  std::size_t worked = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    INFO(text_of(trials[i]));
    const auto fate = fate_of(topology, lab, trials[i]);
    CHECK(fate != check::Fate::depends);
    CHECK(passed[i] == (fate == check::Fate::passes));
    worked += passed[i] ? 1 : 0;
  }
  CHECK(trials.size() >= 200);
  CHECK(worked >= 40);
  std::cerr << fmt::format("segment: {} pairs, {} of them work\n", trials.size(), worked);
}

namespace {

constexpr std::size_t mutation_count = 50;

struct Mutant {
  std::string role;
  Mutation mutation;
};

/// The same number of each kind of change, as far as there are, from all roles.
std::vector<Mutant> mutants_of(const SiteLab& lab) {
  std::map<std::string, std::vector<Mutant>> kinds;
  for (const auto& role : lab.site.roles)
    for (auto& mutation : mutations_of(builder::nftables_ruleset(lab.site, role))) {
      const auto kind = mutation.what.substr(0, mutation.what.find(':'));
      kinds[kind].push_back({role.name, std::move(mutation)});
    }
  std::vector<Mutant> out;
  for (std::size_t round = 0; out.size() < mutation_count; ++round)
    for (auto& [kind, list] : kinds) {
      // A step that is no divisor of the lists' lengths goes through roles and planes.
      if (round < list.size() && out.size() < mutation_count) out.push_back(list[(round * 37 + 11) % list.size()]);
    }
  return out;
}

/// First packets between all parties, and from and to somebody who is nobody on the plane.
std::vector<std::pair<Trial, nlohmann::json>> battery_of(SiteLab& lab) {
  std::vector<std::pair<Trial, nlohmann::json>> out;
  const auto add = [&](const Trial& trial) {
    out.emplace_back(trial, raw_probe(trial.from.node, trial.to.node, first_packet(trial)));
  };
  auto ports = ports_of(lab.site);
  ports.push_back({FlowProtocol::udp, 4789, 4789});
  for (const auto& trial : trials_of(lab)) add(trial);
  for (const auto& plane : lab.site.planes)
    for (const auto family : families)
      for (const auto& to : parties_on(lab, plane, family, 1)) {
        if (!lab.is_role(to.name)) continue;
        // A stranger inside the plane's subnet, and one from elsewhere.
        for (const auto* text : {family == IpFamily::v4 ? "192.0.2.7" : "2001:db8::7", ""}) {
          auto address = IpAddress::parse(text);
          for (const auto& subnet : plane.subnets)
            if (!address && subnet.family() == family) {
              address = subnet.last();
              address->bytes[family == IpFamily::v4 ? 3 : 15] = 0xfd;
            }
          if (!address) continue;
          for (const auto& port : ports) add({{"stranger", lab.world(plane.name), *address}, to, plane.name, port});
        }
      }
  return out;
}

std::vector<Trial> flows_of(const SiteLab& lab) {
  std::vector<Trial> out;
  for (const auto& trial : trials_of(lab))
    for (const auto& flow : lab.site.flows) {
      const auto has = [](const auto& list, const auto& one) {
        return std::find(list.begin(), list.end(), one) != list.end();
      };
      const bool is_port = std::any_of(flow.ports.begin(), flow.ports.end(), [&](const auto& port) {
        return port.contains(trial.port) ||
               (port.protocol == FlowProtocol::icmp && trial.port.protocol == FlowProtocol::icmp);
      });
      if (flow.plane == trial.plane && has(flow.from, trial.from.name) && has(flow.to, trial.to.name) && is_port)
        out.push_back(trial);
    }
  return out;
}

/// What the kernel lets pass now: battery, then all flows as whole exchanges.
std::vector<bool> observe(SiteLab& lab, const std::vector<std::pair<Trial, nlohmann::json>>& battery,
                          const std::vector<Trial>& flows) {
  auto probes = nlohmann::json::array();
  // Connection tracking must not take this run's packets for those of the one before.
  static std::uint16_t source_port = 30000;
  ++source_port;
  for (const auto& [trial, probe] : battery) {
    probes.push_back(probe);
    if (trial.port.protocol != FlowProtocol::icmp) probes.back()["source_port"] = source_port;
  }
  for (const auto& flow : flows) probes.push_back(exchange(flow));
  lab.forget_neighbours();
  return lab.lab.send(std::move(probes));
}

}  // namespace

TEST_CASE("segment: 50 mutated rulesets, and the proof sees exactly those that change what passes") {
  SiteLab lab(site_path);
  const auto battery = battery_of(lab);
  const auto flows = flows_of(lab);
  const auto before = observe(lab, battery, flows);
  std::size_t caught = 0, harmless = 0, replayed = 0;
  for (const auto& [role, mutation] : mutants_of(lab)) {
    INFO(role << ": " << mutation.what);
    lab.load(role, mutation.ruleset);
    const auto report = prove(lab);
    auto brief = report;
    brief.reach.clear();
    brief.through.clear();
    INFO(render_segments(brief).substr(0, 4000));
    const auto after = observe(lab, battery, flows);
    std::string changed;
    for (std::size_t i = 0; i < after.size(); ++i)
      if (after[i] != before[i])
        changed += fmt::format("{} {}\n", after[i] ? "now passes:" : "is lost:",
                               text_of(i < battery.size() ? battery[i].first : flows[i - battery.size()]));
    INFO(changed.substr(0, 2000));
    // What the kernel does differently is a violation; what the proof calls one, the kernel does.
    if (!changed.empty()) CHECK_FALSE(report.violations.empty());
    bool is_seen = report.violations.empty();
    auto probes = nlohmann::json::array();
    for (const auto& one : report.violations) {
      if (one.kind == check::ViolationKind::broken)
        is_seen = is_seen || changed.find("is lost") != std::string::npos;
      else
        for (const auto& step : one.steps) probes.push_back(lab.probe(step));
    }
    const auto passed = lab.lab.send(probes);
    for (std::size_t i = 0; i < passed.size(); ++i) {
      INFO(probes[i].dump());
      CHECK(passed[i]);
      is_seen = true;
    }
    CHECK(is_seen);
    replayed += passed.size();
    (report.violations.empty() ? harmless : caught) += 1;
    lab.load(role, builder::nftables_ruleset(lab.site, *lab.site.role(role)));
    // The witnesses are none under the ruleset as it should be.
    for (const bool still : lab.lab.send(probes)) CHECK_FALSE(still);
  }
  CHECK(prove(lab).violations.empty());
  CHECK(caught + harmless == mutation_count);
  CHECK(caught >= 20);
  CHECK(harmless >= 10);
  std::cerr << fmt::format("segment: {} mutations caught, {} harmless, {} witnesses replayed\n", caught, harmless,
                           replayed);
}

TEST_CASE("segment: a rogue VTEP in another subnet gets nothing through, and would without the rule that stops it") {
  SiteLab lab(site_path);
  // NFS of a training node, said by somebody on the underlay who is none of the overlay's.
  check::Step step{"anybody else on fabric", "storage", "storage", {}, {}, "inside a VXLAN packet"};
  step.packet = {lab.address("training", "storage", IpFamily::v4, 0).value(),
                 lab.address("storage", "storage", IpFamily::v4, 0).value(),
                 6,
                 41000,
                 2049,
                 syn,
                 check::PacketState::fresh,
                 {}};
  auto second = step;
  second.packet.source = lab.address("training", "storage", IpFamily::v6, 0).value();
  second.packet.destination = lab.address("storage", "storage", IpFamily::v6, 0).value();
  const auto probes = nlohmann::json::array({lab.probe(step), lab.probe(second)});
  CHECK(lab.lab.send(probes) == std::vector<bool>{false, false});
  CHECK(prove(lab).violations.empty());

  // The list of VTEPs and the plane's sources go: what comes in by the underlay is taken from anybody.
  auto text = builder::nftables_ruleset(lab.site, *lab.site.role("storage"));
  for (const auto& [what, by] :
       {std::pair{"ip saddr @vteps-storage-4 ", ""}, std::pair{"    ip saddr != @plane-fabric-4 goto spoofed\n", ""}}) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    text.replace(at, std::string_view(what).size(), by);
  }
  lab.load("storage", text);
  CHECK(lab.lab.send(probes) == std::vector<bool>{true, true});
  const auto report = prove(lab);
  std::size_t inside = 0;
  for (const auto& one : report.violations) inside += one.steps.front().note.empty() ? 0 : 1;
  CHECK(inside >= 1);
}
