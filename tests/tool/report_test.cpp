// What the agent reports on a node of Debian 13: its systemd is process 1 of a machine of namespaces
// (tests/tool/node-runs), runs sshd, nft and systemctl in the sandboxes that images have, and the agent in its own.
#include "ingot/codec/report.hpp"

#include <fstream>
#include <regex>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/ruleset.hpp"
#include "oracle_tree.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

const std::string source = INGOT_SOURCE;

void put(const std::string& path, std::string_view text, unsigned mode = 0644) {
  fs::create_directories(fs::path(path).parent_path());
  REQUIRE(write_file(path, as_bytes(text), mode));
}

/// The agent's unit of an image, which reports to a file instead of to the rig.
std::string test_unit() {
  const auto bytes = read_file(source + "/verifier/agent/ingot-agent.service", 1u << 16).value();
  auto text = std::string(as_text(bytes));
  for (const auto* line : {"After=[^\n]*\n", "Condition[^\n]*\n", "Standard[^\n]*\n"})
    text = std::regex_replace(text, std::regex(line), "");
  text = std::regex_replace(text, std::regex("ExecStart=[^\n]*"),
                            "ExecStartPre=+/bin/sh -e /usr/lib/test/prepare\n"
                            "ExecStart=/usr/lib/ingot/ingot-agent report --out /out/report\nReadWritePaths=/out");
  return "[Unit]\nSuccessAction=exit\nFailureAction=exit\nWants=sockets.target\nAfter=sockets.target\n" + text;
}

/// Parts of `ingot-agent report` on a node on which `prepare` has run.
NodeReport report_after(const std::string& prepare) {
  const auto folder = scratch();
  const auto files = folder.path() + "/files", out = folder.path() + "/out";
  fs::create_directories(out);
  builder::Tree tree;
  for (const auto* program : {"/usr/sbin/sshd", "/usr/sbin/nft", "/usr/sbin/auditctl", "/usr/bin/systemctl"})
    REQUIRE(tree.put_file(program, {}, 0755));
  const auto part = builder::render_report(tree);
  write_part(files, part);
  fs::copy(std::string(INGOT_BUILD) + "/ingot-agent", files + "/usr/lib/ingot/ingot-agent");
  put(files + "/usr/lib/systemd/system/test.service", test_unit());
  put(files + "/usr/lib/test/prepare", prepare);
  put(files + "/usr/lib/test/rules",
      "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n"
      "  tcp dport 22 counter accept\n }\n}\n");
  output_of({source + "/tests/tool/node-runs", oracles, files, out});
  NodeReport report;
  std::string name;
  const auto bytes = read_file(out + "/report", 64u << 20).value();
  auto text = as_text(bytes);
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with("=== "))
      report.parts[name = line.substr(4)];
    else
      report.parts[name].append(line).append("\n");
  }
  return report;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("agent report: every part is there, or says why not") {
  const auto report = report_after("/usr/sbin/nft -f /usr/lib/test/rules");
  for (const auto* part :
       {"accounts", "audit_rules", "audit_status", "cmdline", "files", "groups",     "ipe",  "lockdown",
        "lsm",      "modprobe",    "modules",      "mounts",  "nft",   "shim",       "sshd", "swaps",
        "sysctl",   "tcp",         "tcp6",         "udp",     "udp6",  "unit_files", "units"}) {
    INFO(part);
    const auto reason = report.parts.find(std::string(part) + ".error");
    CHECK(report.parts.contains(part) != (reason != report.parts.end()));
    if (reason != report.parts.end()) CHECK(reason->second.size() > 10);
  }
  for (const auto* part :
       {"sshd", "nft", "swaps", "sysctl", "accounts", "files", "unit_files", "units", "mounts", "tcp", "udp6"}) {
    INFO(part);
    CHECK(report.parts.contains(part));
  }
  CHECK(codec::decode_sshd_settings(report.parts.at("sshd")).value().at("port") == "22");
  CHECK(codec::decode_sysctls(report.parts.at("sysctl")).value().at("net.ipv4.ip_forward") == "0");
  const auto rules = codec::canonical_ruleset(as_bytes(report.parts.at("nft"))).value();
  CHECK(rules.back() == codec::RulesetLine{"inet filter input #1", "tcp dport 22 counter accept"});
  auto units = codec::decode_units(report.parts.at("units")).value();
  CHECK(units.at("ingot-report-sshd.socket").active == "active");
  CHECK(units.at("sockets.target").load == "loaded");
  REQUIRE(codec::add_unit_files(report.parts.at("unit_files"), units));
  CHECK(units.at("ssh.service").file_state == "enabled");
  for (const auto* part :
       {"audit_status.error", "audit_rules.error"})  // this kernel answers its first namespaces alone
    CHECK(contains(report.parts.at(part), "Operation not permitted"));
  CHECK(report.parts.at("accounts").find("root\tuid 0\tgid 0\tshell /bin/bash\tpassword locked\n") == 0);
  CHECK_FALSE(contains(report.parts.at("accounts"), "$"));  // no hash
  CHECK(contains(report.parts.at("files"), "/etc/ssh/sshd_config\tmode 0644\towner 0:0\tsha256 "));
  for (const auto* secret :
       {"/etc/shadow\tmode 0640\towner 0:42\n", "/etc/ssh/ssh_host_ed25519_key\tmode 0600\towner 0:0\n"})
    CHECK(contains(report.parts.at("files"), secret));  // no digest
}

TEST_CASE("agent report: what a kernel gave back once is what the node reports, until a rule changes") {
  const std::string load = "/usr/sbin/nft -f /usr/lib/test/rules\n";
  const auto before = report_after(load);
  const auto expected = codec::firewall_settings(as_bytes(before.parts.at("nft")), "/etc/nftables.conf", "").value();
  const auto firewall_findings = [&](const std::string& prepare) {
    std::vector<std::string> subjects;
    for (const auto& finding : check::check_settings(expected, report_after(prepare)))
      if (finding.setting == SettingArea::firewall) subjects.push_back(finding.subject);
    return subjects;
  };
  CHECK(firewall_findings(load).empty());
  CHECK(firewall_findings(load + "/usr/sbin/nft add rule inet filter input accept") ==
        std::vector<std::string>{"firewall: inet filter input #2"});
  CHECK(firewall_findings(load + "/usr/sbin/nft flush chain inet filter input") ==
        std::vector<std::string>{"firewall: inet filter input #1"});
}

TEST_CASE("agent report: a tool that fails is reported with what it said, one that is not offered as such") {
  const auto report = report_after(
      "echo Nonsense yes >>/etc/ssh/sshd_config\nsystemctl stop ingot-report-nft.socket\n"
      "rm /run/ingot-report/unit_files\n");
  REQUIRE_FALSE(report.parts.contains("sshd"));
  CHECK(report.parts.at("sshd.error").find("/run/ingot-report/sshd: the tool ended with 255: ") == 0);
  CHECK(contains(report.parts.at("sshd.error"), "Bad configuration option: Nonsense"));
  CHECK(report.parts.at("nft.error") == "/run/ingot-report/nft: nobody listens: its socket unit has stopped\n");
  CHECK(report.parts.at("unit_files.error") == "/run/ingot-report/unit_files: this node does not offer it\n");
  CHECK(codec::decode_units(report.parts.at("units")).value().at("ingot-report-nft.socket").active == "inactive");
}

TEST_CASE("report units: clean for systemd-analyze, and next to nothing is open") {
  const auto folder = scratch();
  const auto part = builder::render_report(oracle_tree());
  write_part(folder.path() + "/files", part);
  std::vector<std::string> command = {source + "/tests/tool/units", oracles, folder.path() + "/files"};
  for (const auto& file : part.files)
    if (file.path.ends_with("@.service")) {
      auto name = file.path.substr(file.path.rfind('/') + 1);
      command.push_back(name.insert(name.find('@') + 1, "1"));
    } else if (file.path.ends_with(".socket")) {
      command.push_back(file.path.substr(file.path.rfind('/') + 1));
    }
  REQUIRE(command.size() == 3 + 12);
  std::istringstream told(output_of(command));
  int services = 0;
  for (std::string word, unit, tenths; told >> word >> unit >> tenths; ++services) {
    INFO(unit);
    REQUIRE(word == "exposure");
    CHECK(std::stoi(tenths) <= 20);
    std::cerr << unit << " " << tenths << "\n";
  }
  CHECK(services == 6);
}
