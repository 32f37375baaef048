// What the agent reports where sshd, nft and auditctl of Debian 13 are: in the oracles' tree, in namespaces of its own.
#include "ingot/codec/report.hpp"

#include <nlohmann/json.hpp>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/settings.hpp"
#include "ingot/codec/ruleset.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

const std::string oracles = std::string(INGOT_SOURCE) + "/build/oracles";

/// Parts of `ingot-agent report` after `prepare` has run in the tree.
NodeReport report_after(const std::string& prepare) {
  const auto folder = scratch();
  const auto out = folder.path() + "/report";
  const std::string script =
      "set -e; mount -t tmpfs t $1/tmp; mount -t tmpfs t $1/run; mkdir $1/run/sshd; mount --bind /proc $1/proc; "
      "mount --rbind /dev $1/dev; cp $2 $1/tmp/agent; cp $3 $1/tmp/rules; chroot $1 /bin/sh -ec \"$4\"; "
      "chroot $1 /tmp/agent report >$5";
  REQUIRE(write_file(folder.path() + "/rules",
                     as_bytes("table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n"
                              "  tcp dport 22 counter accept\n }\n}\n")));
  output_of({"unshare", "-n", "-m", "sh", "-c", script, "sh", oracles, std::string(INGOT_BUILD) + "/ingot-agent",
             folder.path() + "/rules", prepare, out});
  NodeReport report;
  std::string name;
  const auto bytes = read_file(out, 64u << 20).value();
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

}  // namespace

TEST_CASE("agent report: every part is there, or says why not") {
  const auto report = report_after("PATH=/usr/sbin:$PATH; nft -f /tmp/rules");
  std::vector<std::string> names;
  for (const auto* part : {"accounts", "audit_rules", "audit_status", "cmdline", "files",  "groups",     "ipe",
                           "lockdown", "lsm",         "modprobe",     "modules", "mounts", "nft",        "sshd",
                           "sysctl",   "tcp",         "tcp6",         "udp",     "udp6",   "unit_files", "units"}) {
    INFO(part);
    const auto reason = report.parts.find(std::string(part) + ".error");
    CHECK(report.parts.contains(part) != (reason != report.parts.end()));
    if (reason != report.parts.end()) CHECK(reason->second.size() > 10);
  }
  for (const auto* part : {"sshd", "nft", "sysctl", "accounts", "files", "unit_files", "mounts", "tcp"}) {
    INFO(part);
    CHECK(report.parts.contains(part));
  }
  CHECK(codec::decode_sshd_settings(report.parts.at("sshd")).value().at("port") == "22");
  CHECK(codec::decode_sysctls(report.parts.at("sysctl")).value().at("net.ipv4.ip_forward") == "0");
  const auto rules = codec::canonical_ruleset(as_bytes(report.parts.at("nft"))).value();
  CHECK(rules.back() == codec::RulesetLine{"inet filter input #1", "tcp dport 22 counter accept"});
  CHECK(report.parts.at("accounts").find("root\tuid 0\tgid 0\tshell /bin/bash\tpassword locked\n") == 0);
  CHECK(report.parts.at("accounts").find('$') == std::string::npos);  // no hash
  CHECK(report.parts.at("files").find("/etc/ssh/sshd_config\tmode 0644\towner 0:0\tsha256 ") != std::string::npos);
  for (const auto* secret :
       {"/etc/shadow\tmode 0640\towner 0:42\n", "/etc/ssh/ssh_host_ed25519_key\tmode 0600\towner 0:0\n"})
    CHECK(report.parts.at("files").find(secret) != std::string::npos);  // no digest
}

TEST_CASE("agent report: what a kernel gave back once is what the node reports, until a rule changes") {
  const auto before = report_after("/usr/sbin/nft -f /tmp/rules");
  const auto expected = codec::firewall_settings(as_bytes(before.parts.at("nft")), "/etc/nftables.conf", "").value();
  const auto firewall_findings = [&](const std::string& prepare) {
    std::vector<std::string> subjects;
    for (const auto& finding : check::check_settings(expected, report_after(prepare)))
      if (finding.setting == SettingArea::firewall) subjects.push_back(finding.subject);
    return subjects;
  };
  CHECK(firewall_findings("/usr/sbin/nft -f /tmp/rules").empty());
  CHECK(firewall_findings("/usr/sbin/nft -f /tmp/rules; /usr/sbin/nft add rule inet filter input accept") ==
        std::vector<std::string>{"firewall: inet filter input #2"});
  CHECK(firewall_findings("/usr/sbin/nft -f /tmp/rules; /usr/sbin/nft flush chain inet filter input") ==
        std::vector<std::string>{"firewall: inet filter input #1"});
}

TEST_CASE("agent report: a tool that fails is reported with what it said") {
  // Nothing may write to the tree: the broken configuration lies over it for this one run.
  const auto report = report_after("true; mount -t tmpfs t /etc/ssh 2>/dev/null");
  REQUIRE_FALSE(report.parts.contains("sshd"));
  CHECK(report.parts.at("sshd.error").find("/usr/sbin/sshd ended with ") == 0);
}
