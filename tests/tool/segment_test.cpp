// The proof against the world: the site's roles as network namespaces under their own rulesets, and real packets.
#include <chrono>

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
