// Nodes as network namespaces, joined by switches (bridges in a namespace of their own), and packets between them.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "ingot/base/output.hpp"
#include "ingot/check/segment.hpp"
#include "tool.hpp"

namespace ingot::test {

inline nlohmann::json raw_probe(const std::string& from, const std::string& to, const check::Packet& packet) {
  return {{"kind", "raw"},
          {"from", from},
          {"to", to},
          {"source", to_text(packet.source)},
          {"destination", to_text(packet.destination)},
          {"protocol", packet.protocol},
          {"source_port", packet.source_port},
          {"destination_port", packet.destination_port},
          {"flags", packet.tcp_flags}};
}

class NetworkLab {
 public:
  NetworkLab() : folder_(scratch()), prefix_(fmt::format("ingot{}-", ::getpid())) { add_node("wires"); }
  NetworkLab(const NetworkLab&) = delete;
  NetworkLab& operator=(const NetworkLab&) = delete;
  ~NetworkLab() {
    for (const auto& node : nodes_) (void)run_tool({"ip", "netns", "delete", name(node)});
  }

  [[nodiscard]] std::string name(const std::string& node) const { return prefix_ + node; }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  void add_node(const std::string& node) {
    output_of({"ip", "netns", "add", name(node)});
    nodes_.push_back(node);
    ip(node, {"link set lo up"});
  }

  /// Commands of ip(8) in a node, one after the other; those that start with "-6 " after all others.
  void ip(const std::string& node, const std::vector<std::string>& lines) {
    for (const bool v6 : {false, true}) {
      std::string text;
      for (const auto& line : lines)
        if (line.starts_with("-6 ") == v6) text += line.substr(v6 ? 3 : 0) + "\n";
      if (text.empty()) continue;
      const auto file = folder() + "/ip";
      REQUIRE(write_file(file, as_bytes(text)));
      output_of(v6 ? std::vector<std::string>{"ip", "-6", "-n", name(node), "-batch", file}
                   : std::vector<std::string>{"ip", "-n", name(node), "-batch", file});
    }
  }

  /// An interface of a node on a segment, with addresses ("10.0.0.1/24").
  void connect(const std::string& node, const std::string& interface, const std::string& segment,
               const std::vector<std::string>& addresses) {
    if (segments_.insert(segment).second)
      ip("wires", {"link add " + bridge(segment) + " type bridge", "link set " + bridge(segment) + " up"});
    const auto port = fmt::format("p{}", ports_++);
    ip("wires", {fmt::format("link add {} type veth peer name {} netns {}", port, interface, name(node)),
                 fmt::format("link set {} master {}", port, bridge(segment)), fmt::format("link set {} up", port)});
    std::vector<std::string> lines = {fmt::format("link set {} up", interface)};
    for (const auto& address : addresses)
      lines.push_back(fmt::format("addr add {} dev {} {}", address, interface,
                                  address.find(':') == std::string::npos ? "" : "nodad"));
    ip(node, lines);
  }

  /// Runs a command inside a node.
  std::string inside(const std::string& node, std::vector<std::string> argv) {
    argv.insert(argv.begin(), {"ip", "netns", "exec", name(node)});
    return output_of(std::move(argv));
  }

  /// Replaces the node's ruleset and gives it back as the kernel holds it.
  codec::NftRuleset load(const std::string& node, const std::string& ruleset) {
    const auto file = folder() + "/rules";
    REQUIRE(write_file(file, as_bytes("flush ruleset\n" + ruleset)));
    inside(node, {"nft", "-f", file});
    return ruleset_of(node);
  }
  codec::NftRuleset ruleset_of(const std::string& node) {
    const auto text = inside(node, {"nft", "-j", "list", "ruleset"});
    auto decoded = codec::decode_nft(as_bytes(text));
    if (!decoded) FAIL(describe(decoded.error()));
    return *std::move(decoded);
  }

  /// Sends everything; for each probe, whether it passed. Nodes are named without the prefix.
  std::vector<bool> send(nlohmann::json probes) {
    for (auto& probe : probes)
      for (const auto* end : {"from", "to"}) probe[end] = name(probe[end].get<std::string>());
    const auto text = nlohmann::json{{"probes", std::move(probes)}}.dump();
    builder::Command command;
    command.argv = {"python3", std::string(INGOT_SOURCE) + "/tests/tool/segment_traffic.py"};
    command.standard_input = [&](const auto& write) { return write(as_bytes(text)); };
    command.timeout_seconds = 100;
    const auto done = builder::run_checked(command);
    if (!done) FAIL(describe(done.error()));
    return nlohmann::json::parse(as_text(done->output)).get<std::vector<bool>>();
  }

 private:
  static std::string bridge(const std::string& segment) { return "b-" + segment.substr(0, 12); }
  builder::TemporaryFolder folder_;
  std::string prefix_;
  std::vector<std::string> nodes_;
  std::set<std::string> segments_;
  int ports_ = 0;
};

}  // namespace ingot::test
