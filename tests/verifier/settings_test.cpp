#include "ingot/check/settings.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/codec/ruleset.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

/// What a real node reported: vectors/report-debian13.origin.
const NodeReport& real_report() {
  static const NodeReport report = [] {
    NodeReport out;
    const auto document = nlohmann::json::parse(vector_file("report-debian13.json"));
    for (const auto& [name, text] : document.items()) out.parts[name] = text.get<std::string>();
    return out;
  }();
  return report;
}

/// What a profile may have set for that node.
const std::vector<Setting>& expected() {
  static const std::vector<Setting> settings = [] {
    using enum SettingArea;
    std::vector<Setting> out = {
        {sshd, "PasswordAuthentication", "no", "/etc/ssh/sshd_config.d/10-inference.conf", "CIS", ""},
        {sshd, "permitrootlogin", "no", "", "", ""},
        {sysctl, "net.ipv4.ip_forward", "0", "", "", ""},
        {sysctl, "net.ipv4.ip_local_port_range", "32768 60999", "", "", ""},
        {kernel_parameter, "lockdown", "integrity", "", "", ""},
        {kernel_parameter, "module.sig_enforce=1", "", "", "", ""},
        {audit_status, "enabled", "1", "", "", ""},
        {audit_status, "failure", "1", "", "", ""},
        {audit_status, "backlog_limit", "8192", "", "", ""},
        {audit_rule, "modules", "-a always,exit -F arch=b64 -S init_module,finit_module -k modules", "", "", ""},
        {audit_rule, "-w /etc/passwd -p wa -k identity", "", "", "", ""},
        {unit, "nginx.service", "active", "", "", ""},
        {unit, "debug-shell.service", "masked", "", "", ""},
        {unit, "telnet.socket", "absent", "", "", ""},
        {account, "root", "uid 0, password locked", "", "", ""},
        {account, "group adm", "", "", "", ""},
        {mount, "/run", "nosuid, nodev", "", "", ""},
        {security_module, "lockdown", "integrity", "", "", ""},
        {security_module, "ipe enforce", "1", "", "", ""},
        {file, "/etc/ssh/sshd_config.d/10-inference.conf", "mode 0600, owner 0:0", "", "", ""},
        {file, "/etc/ssh/ssh_host_dsa_key", "absent", "", "", ""},
    };
    const auto& parts = real_report().parts;
    const auto rules = codec::firewall_settings(as_bytes(parts.at("nft")), "/etc/nftables.conf", "").value();
    out.insert(out.end(), rules.begin(), rules.end());
    for (const auto* protocol : {"tcp", "tcp6", "udp", "udp6"}) {
      const auto sockets = codec::decode_listening_sockets(protocol, parts.at(protocol)).value();
      for (const auto& name : sockets) out.push_back({socket, name, "", "", "", ""});
    }
    return out;
  }();
  return settings;
}

/// The part with its first `from` as `to`.
void edit(NodeReport& report, const std::string& part, const std::string& from, const std::string& to) {
  auto& text = report.parts.at(part);
  const auto at = text.find(from);
  if (at == text.npos) FAIL("the report's part " << part << " has no " << from);
  text.replace(at, from.size(), to);
}
void append(NodeReport& report, const std::string& part, const std::string& text) { report.parts.at(part) += text; }

/// A node on which nothing is: what is judged whenever there are settings finds nothing.
NodeReport quiet_report() {
  NodeReport report;
  for (const auto* part : {"accounts", "groups", "tcp", "tcp6", "udp", "udp6", "units", "unit_files"})
    report.parts[part] = "";
  return report;
}

struct Row {
  const char* drift;
  std::function<void(NodeReport&)> change;
  const char* kind;
  const char* subject;
};

}  // namespace

TEST_CASE("settings: a node as it was cast has no finding") {
  for (const auto& finding : check::check_settings(expected(), real_report()))
    FAIL(finding.subject << ": " << finding.expected << " / " << finding.observed);
  CHECK(expected().size() >= 30);
}

TEST_CASE("settings: each drift is one finding that names the setting") {
  const auto rule = [](const char* json) { return std::string(", {\"rule\": ") + json + "}]}"; };
  const Row rows[] = {
      {"sshd takes passwords",
       [](auto& r) { edit(r, "sshd", "passwordauthentication no", "passwordauthentication yes"); }, "setting-differs",
       "sshd: passwordauthentication"},
      {"sshd lost a keyword", [](auto& r) { edit(r, "sshd", "permitrootlogin no\n", ""); }, "setting-missing",
       "sshd: permitrootlogin"},
      {"a node that forwards", [](auto& r) { edit(r, "sysctl", "net.ipv4.ip_forward = 0", "net.ipv4.ip_forward = 1"); },
       "setting-differs", "sysctl: net.ipv4.ip_forward"},
      {"a sysctl with two numbers", [](auto& r) { edit(r, "sysctl", "32768\t60999", "1024\t60999"); },
       "setting-differs", "sysctl: net.ipv4.ip_local_port_range"},
      {"lockdown asked for less", [](auto& r) { edit(r, "cmdline", "lockdown=integrity", "lockdown=none"); },
       "setting-differs", "kernel-parameter: lockdown"},
      {"a parameter given once more, the other way",
       [](auto& r) { edit(r, "cmdline", "panic=", "module.sig_enforce=0 panic="); }, "setting-differs",
       "kernel-parameter: module.sig_enforce=1"},
      {"audit off", [](auto& r) { edit(r, "audit_status", "enabled 1", "enabled 0"); }, "setting-differs",
       "audit-status: enabled"},
      {"audit that fails silently", [](auto& r) { edit(r, "audit_status", "failure 1", "failure 0"); },
       "setting-differs", "audit-status: failure"},
      {"a small backlog", [](auto& r) { edit(r, "audit_status", "backlog_limit 8192", "backlog_limit 64"); },
       "setting-differs", "audit-status: backlog_limit"},
      {"an audit rule gone", [](auto& r) { edit(r, "audit_rules", "-w /etc/passwd -p wa -k identity\n", ""); },
       "setting-missing", "audit-rule: -w /etc/passwd -p wa -k identity"},
      {"an audit rule that silences", [](auto& r) { append(r, "audit_rules", "-a never,exit -S all -F uid=0\n"); },
       "setting-unexpected", "audit-rule: -a never,exit -F uid=0"},
      {"a firewall rule added",
       [&](auto& r) {
         auto& text = r.parts.at("nft");
         text.erase(text.rfind("]}"));
         text += rule(
             R"({"family": "inet", "table": "filter", "chain": "input", "handle": 99, "expr": [{"accept": null}]})");
       },
       "setting-unexpected", "firewall: inet filter input #5"},
      {"a firewall's policy", [](auto& r) { edit(r, "nft", "\"policy\": \"drop\"", "\"policy\": \"accept\""); },
       "setting-differs", "firewall: inet filter input"},
      {"a firewall rule changed", [](auto& r) { edit(r, "nft", "443", "444"); }, "setting-differs",
       "firewall: inet filter input #4"},
      {"a table added",
       [](auto& r) {
         auto& text = r.parts.at("nft");
         text.erase(text.rfind("]}"));
         text += R"(, {"table": {"family": "ip", "name": "evil", "handle": 9}}]})";
       },
       "setting-unexpected", "firewall: ip evil"},
      {"a unit stopped",
       [](auto& r) {
         auto& text = r.parts.at("units");
         const auto at = text.find("ActiveState=active", text.find("Id=nginx.service"));
         text.replace(at, 18, "ActiveState=inactive");
       },
       "setting-differs", "unit: nginx.service"},
      {"a unit unmasked",
       [](auto& r) {
         auto& text = r.parts.at("unit_files");
         const auto at = text.find("masked", text.find("debug-shell.service"));
         text.replace(at, 6, "static");
         // Loaded units say their file's state themselves.
         auto& units = r.parts.at("units");
         for (const auto* word : {"LoadState=masked", "UnitFileState=masked"})
           units.replace(units.find(word), std::string_view(word).size(), "UnitFileState=static");
       },
       "setting-differs", "unit: debug-shell.service"},
      {"a unit failed", [](auto& r) { append(r, "units", "\n\nId=x.service\nLoadState=loaded\nActiveState=failed\n"); },
       "setting-unexpected", "unit: x.service"},
      {"a unit made on the node",
       [](auto& r) { append(r, "units", "\n\nId=evil.service\nFragmentPath=/run/systemd/system/evil.service\n"); },
       "setting-unexpected", "unit: evil.service"},
      {"a unit changed on the node",
       [](auto& r) {
         append(r, "units", "\n\nId=a.service\nDropInPaths=/usr/lib/x.conf /run/systemd/system/a.service.d/x.conf\n");
       },
       "setting-unexpected", "unit: a.service"},
      {"a unit that must not be there", [](auto& r) { append(r, "unit_files", "telnet.socket enabled enabled\n"); },
       "setting-differs", "unit: telnet.socket"},
      {"a user added",
       [](auto& r) { append(r, "accounts", "eve\tuid 1001\tgid 1001\tshell /bin/bash\tpassword locked\n"); },
       "setting-unexpected", "account: eve"},
      {"root's password unlocked",
       [](auto& r) {
         auto& text = r.parts.at("accounts");
         text.replace(text.find("password locked", text.find("root\t")), 15, "password set");
       },
       "setting-differs", "account: root"},
      {"a member of a privileged group", [](auto& r) { append(r, "groups", "sudo\tmember www-data\n"); },
       "setting-unexpected", "account: group sudo"},
      {"a member of a group that the profile keeps empty",
       [](auto& r) { append(r, "groups", "adm\tmember www-data\n"); }, "setting-differs", "account: group adm"},
      {"a socket", [](auto& r) { append(r, "tcp", "   9: 00000000:115C 00000000:0000 0A 0:0 0:0 0 0 0 1\n"); },
       "setting-unexpected", "socket: tcp 0.0.0.0:4444"},
      {"a mount option",
       [](auto& r) {
         auto& text = r.parts.at("mounts");
         text.replace(text.find("nosuid", text.find(" /run ")), 6, "noatime");
       },
       "setting-differs", "mount: /run"},
      {"a mount over the image", [](auto& r) { append(r, "mounts", "99 1 0:99 / /usr/bin rw - tmpfs tmpfs rw\n"); },
       "setting-unexpected", "mount: /usr/bin"},
      {"lockdown off", [](auto& r) { r.parts["lockdown"] = "[none] integrity confidentiality\n"; }, "setting-differs",
       "security-module: lockdown"},
      {"IPE only warns", [](auto& r) { r.parts["ipe"] = "enforce\t0\n"; }, "setting-differs",
       "security-module: ipe enforce"},
      {"IPE with a policy of somebody else",
       [](auto& r) { append(r, "ipe", "policy evil\tversion 1.0.0\tactive 1\tsha256 00\n"); }, "setting-unexpected",
       "security-module: ipe policy evil"},
      {"a file that anybody may read",
       [](auto& r) {
         auto& text = r.parts.at("files");
         text.replace(text.find("mode 0600", text.find("/etc/ssh/sshd_config.d/10-inference.conf")), 9, "mode 0644");
       },
       "setting-differs", "file: /etc/ssh/sshd_config.d/10-inference.conf"},
      {"a file that must not be there", [](auto& r) { append(r, "files", "/etc/ssh/ssh_host_dsa_key\tmode 0600\n"); },
       "setting-differs", "file: /etc/ssh/ssh_host_dsa_key"},
  };
  for (const auto& row : rows) {
    auto report = real_report();
    row.change(report);
    const auto findings = check::check_settings(expected(), report);
    INFO(row.drift);
    for (const auto& finding : findings) UNSCOPED_INFO(finding.subject << ": " << finding.observed);
    REQUIRE(findings.size() == 1);
    CHECK(to_text(findings[0].kind) == row.kind);
    CHECK(findings[0].subject == row.subject);
    CHECK(findings[0].self_reported());
    CHECK(findings[0].pcr == std::nullopt);
  }
}

TEST_CASE("settings: modules are judged by policy and by their taint") {
  auto clean = quiet_report();
  clean.parts["modules"] = "vxlan 100 0 - Live 0x0\n";
  clean.parts["modprobe"] = "install usb-storage /bin/false\n";
  const std::vector<Setting> blocked = {{SettingArea::module, "usb-storage", "blocked", "", "", ""}};
  CHECK(check::check_settings(blocked, clean).empty());
  const auto subjects = [&](const std::vector<Setting>& settings, const char* modules, const char* modprobe) {
    NodeReport report = clean;
    report.parts["modules"] = modules;
    report.parts["modprobe"] = modprobe;
    std::vector<std::string> out;
    for (const auto& finding : check::check_settings(settings, report)) out.push_back(finding.subject);
    return out;
  };
  const std::vector<std::string> usb = {"module: usb-storage"};
  CHECK(subjects(blocked, "usb_storage 100 0 - Live 0x0\n", "install usb-storage /bin/false\n") == usb);
  CHECK(subjects(blocked, "", "blacklist usb-storage\n") == usb);  // which is for aliases only
  CHECK(subjects(blocked, "evil 100 0 - Live 0x0 (OE)\n", "install usb-storage /bin/true\n") ==
        std::vector<std::string>{"module: evil"});
  CHECK(subjects({{SettingArea::module, "vxlan", "allowed", "", "", ""}}, "vxlan 1 0 - Live 0x0\nfat 1 0 - Live 0x0\n",
                 "") == std::vector<std::string>{"module: fat"});
}

TEST_CASE("settings: a module that is not of the kernel is expected when the image brings it, and no other one") {
  auto clean = quiet_report();
  clean.parts["modprobe"] = "";
  const Setting driver{SettingArea::module, "nvidia", "out-of-tree", "", "", ""};
  const Setting vxlan{SettingArea::module, "vxlan", "allowed", "", "", ""};
  const auto subjects = [&](const std::vector<Setting>& settings, const std::string& modules) {
    NodeReport report = clean;
    report.parts["modules"] = modules;
    std::vector<std::string> out;
    for (const auto& finding : check::check_settings(settings, report)) out.push_back(finding.subject);
    return out;
  };
  const std::string nvidia = "nvidia 100 0 - Live 0x0 (PO)\n", rootkit = "rootkit 100 0 - Live 0x0 (O)\n";
  const std::string of_kernel = "fat 1 0 - Live 0x0\n";
  CHECK(subjects({driver}, nvidia + of_kernel).empty());
  CHECK(subjects({driver}, "").empty());  // it need not be loaded
  CHECK(subjects({driver}, nvidia + rootkit) == std::vector<std::string>{"module: rootkit"});
  CHECK(subjects({driver}, "nvidia 100 0 - Live 0x0 (POE)\n") == std::vector<std::string>{"module: nvidia"});
  CHECK(subjects({driver, vxlan}, nvidia + "vxlan 1 0 - Live 0x0\n").empty());
  CHECK(subjects({driver, vxlan}, nvidia + of_kernel) == std::vector<std::string>{"module: fat"});
  CHECK(subjects({vxlan}, nvidia) == std::vector<std::string>{"module: nvidia"});
}

TEST_CASE("settings: what listens is planned, and what is planned listens") {
  struct Listening {
    const char* name;
    std::vector<std::pair<const char*, const char*>> rows;  ///< socket and value
    const char* part;
    const char* address;  ///< as /proc/net has it
    std::vector<std::string> findings;
  };
  using List = std::vector<std::string>;
  const std::string missing = "setting-missing socket: ", unexpected = "setting-unexpected socket: ";
  const Listening rows[] = {
      {"nobody, as planned", {}, "tcp", "", {}},
      {"somebody, without any row", {}, "tcp", "00000000:115C", List{unexpected + "tcp 0.0.0.0:4444"}},
      {"on loopback alone", {}, "tcp", "0100007F:1F40", List{unexpected + "tcp 127.0.0.1:8000"}},
      {"as planned", {{"tcp 0.0.0.0:22", "listening"}}, "tcp", "00000000:0016", {}},
      {"not there", {{"tcp 0.0.0.0:22", "listening"}}, "tcp", "", List{missing + "tcp 0.0.0.0:22"}},
      {"not there, need not be", {{"tcp 0.0.0.0:22", "allowed"}}, "tcp", "", {}},
      {"there, need not be", {{"tcp 127.0.0.1:8000", "allowed"}}, "tcp", "0100007F:1F40", {}},
      {"a loopback service for everybody",
       {{"tcp 127.0.0.1:8000", "allowed"}},
       "tcp",
       "00000000:1F40",
       List{unexpected + "tcp 0.0.0.0:8000"}},
      {"another port", {{"tcp 0.0.0.0:22", "allowed"}}, "tcp", "00000000:0017", List{unexpected + "tcp 0.0.0.0:23"}},
      {"another protocol", {{"tcp *:53", "allowed"}}, "udp", "00000000:0035", List{unexpected + "udp 0.0.0.0:53"}},
      {"any address", {{"udp *:68", "allowed"}}, "udp", "0900000A:0044", {}},
      {"any address, IPv6", {{"udp *:546", "allowed"}}, "udp6", "000080FE000000000000000001000000:0222", {}},
      {"the first port of a range", {{"tcp *:29500-29599", "allowed"}}, "tcp", "00000000:733C", {}},
      {"the last port of a range", {{"tcp *:29500-29599", "allowed"}}, "tcp", "00000000:739F", {}},
      {"behind a range",
       {{"tcp *:29500-29599", "allowed"}},
       "tcp",
       "00000000:73A0",
       List{unexpected + "tcp 0.0.0.0:29600"}},
      {"a row that is no socket covers none",
       {{"tcp 22", "allowed"}, {"tcp *:x", "allowed"}},
       "tcp",
       "00000000:0016",
       List{unexpected + "tcp 0.0.0.0:22"}},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    std::vector<Setting> settings = {{SettingArea::unit, "no.service", "absent", "", "", ""}};
    for (const auto& [name, value] : row.rows) settings.push_back({SettingArea::socket, name, value, "", "", ""});
    auto report = quiet_report();
    const bool is_tcp = std::string_view(row.part).starts_with("tcp");
    if (*row.address != '\0')
      report.parts[row.part] = fmt::format("0: {} 0:0 {} 0:0 0:0 0 0 0 1\n", row.address, is_tcp ? "0A" : "07");
    List findings;
    for (const auto& finding : check::check_settings(settings, report))
      findings.push_back(fmt::format("{} {}", to_text(finding.kind), finding.subject));
    CHECK(findings == row.findings);
  }
}

TEST_CASE("settings: accounts are judged although no row is about them") {
  const std::vector<Setting> settings = {{SettingArea::unit, "no.service", "absent", "", "", ""}};
  auto report = quiet_report();
  report.parts["accounts"] = "eve\tuid 1001\tgid 1001\tshell /bin/bash\tpassword locked\n";
  report.parts["groups"] = "sudo\tmember eve\n";
  std::vector<std::string> subjects;
  for (const auto& finding : check::check_settings(settings, report)) subjects.push_back(finding.subject);
  CHECK(subjects == std::vector<std::string>{"account: eve", "account: group sudo"});
}

TEST_CASE("settings: a part that is missing, cut off or nonsense is one finding of its area") {
  for (const auto& [part, text] : real_report().parts) {
    if (part.ends_with(".error") || part == "lsm") continue;
    INFO(part);
    auto report = real_report();
    report.parts.erase(part);
    report.parts[part + ".error"] = "the tool is not there";
    const auto findings = check::check_settings(expected(), report);
    if (part == "modules" || part == "modprobe") continue;  // no setting of the example is about them
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].kind == FindingKind::setting_missing);
    CHECK(contains(findings[0].observed, "the tool is not there"));
    report = real_report();
    report.parts[part] = "\x1Bnonsense";
    CHECK_FALSE(check::check_settings(expected(), report).empty());
    report.parts[part] = std::string(codec::report_part_cap_bytes + 1, 'x');
    CHECK_FALSE(check::check_settings(expected(), report).empty());
    report.parts[part] = text.substr(0, text.size() / 3);
    (void)check::check_settings(expected(), report);
  }
  CHECK_FALSE(check::check_settings(expected(), {}).empty());
  CHECK(check::check_settings(expected(), real_report()) == check::check_settings(expected(), real_report()));
}

TEST_CASE("settings: a verdict says what is self-reported, and a node that does not report is not trusted") {
  auto golden = baseline();
  golden.settings = expected();
  auto asked = question();
  asked.baseline = &golden;
  auto evidence = reference();
  const auto silent = verdict_on(evidence, asked);
  REQUIRE(kinds(silent) == std::vector<std::string>{"setting-missing"});
  CHECK(silent.findings[0].subject == "report");

  evidence.report = real_report();
  CHECK(kinds(verdict_on(evidence, asked)) == std::vector<std::string>{"quote-nonce-differs"});  // not what was signed
  sign(evidence, software_tpm());
  const auto good = verdict_on(evidence, asked);
  INFO(check::render_verdict(good));
  CHECK(good.trusted());
  CHECK(good.settings_judged.at(SettingArea::sshd) == 2);
  CHECK(contains(check::render_report(good), "Settings (self-reported)"));

  edit(*evidence.report, "sshd", "passwordauthentication no", "passwordauthentication yes");
  sign(evidence, software_tpm());
  const auto drifted = verdict_on(evidence, asked);
  REQUIRE(kinds(drifted) == std::vector<std::string>{"setting-differs"});
  CHECK(contains(drifted.findings[0].cause, "passwordauthentication is yes, the profile says no"));
  CHECK(contains(drifted.findings[0].cause, "/etc/ssh/sshd_config.d/10-inference.conf"));
  const auto json = nlohmann::json::parse(check::verdict_json(drifted));
  CHECK(json["findings"][0]["self_reported"] == true);
  CHECK(json["findings"][0]["setting"] == "sshd");
  CHECK(contains(check::render_verdict(drifted), "[setting-differs] self-reported"));

  evidence.report.reset();  // taken away on its way
  CHECK_FALSE(verdict_on(evidence, asked).trusted());
}
