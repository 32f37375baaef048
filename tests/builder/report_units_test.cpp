#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "ingot/builder/config.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Tree with_programs(std::initializer_list<const char*> programs) {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  for (const auto* path : programs) REQUIRE(tree.put_file(path, {1}, 0755));
  return tree;
}

std::vector<std::string> paths(const ConfigPart& part) {
  std::vector<std::string> out;
  for (const auto& file : part.files) out.push_back(file.path.substr(file.path.rfind('/') + 1));
  std::sort(out.begin(), out.end());
  return out;
}

std::string text_of(const ConfigPart& part, const std::string& name) {
  for (const auto& file : part.files)
    if (file.path.ends_with("/" + name)) return std::string(as_text(file.content));
  FAIL("no file " << name);
  return {};
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("report units: a socket for each tool that the node has, and for no other") {
  const auto whole =
      render_report(with_programs({"/usr/sbin/sshd", "/usr/sbin/nft", "/usr/sbin/auditctl", "/usr/bin/systemctl"}));
  CHECK(paths(whole) == std::vector<std::string>{"ingot-report-audit_rules.socket", "ingot-report-audit_rules@.service",
                                                 "ingot-report-audit_status.socket",
                                                 "ingot-report-audit_status@.service", "ingot-report-nft.socket",
                                                 "ingot-report-nft@.service", "ingot-report-sshd.socket",
                                                 "ingot-report-sshd@.service", "ingot-report-unit_files.socket",
                                                 "ingot-report-unit_files@.service", "ingot-report-units.socket",
                                                 "ingot-report-units@.service", "report-tool"});
  CHECK(whole.links.size() == 6);
  CHECK(whole.settings.size() == 6);
  for (const auto& setting : whole.settings) {
    CHECK(setting.area == SettingArea::unit);
    CHECK(setting.value == "active");
  }
  const auto without_ssh = render_report(with_programs({"/usr/bin/systemctl"}));
  CHECK(paths(without_ssh) == std::vector<std::string>{"ingot-report-unit_files.socket",
                                                       "ingot-report-unit_files@.service", "ingot-report-units.socket",
                                                       "ingot-report-units@.service", "report-tool"});
  CHECK(render_report(with_programs({})).files.empty());
}

TEST_CASE("report units: root alone may ask, and each tool has what it needs and no more") {
  const auto part =
      render_report(with_programs({"/usr/sbin/sshd", "/usr/sbin/nft", "/usr/sbin/auditctl", "/usr/bin/systemctl"}));
  for (const auto* name : {"sshd", "nft", "audit_status", "audit_rules", "units", "unit_files"}) {
    INFO(name);
    const auto socket = text_of(part, fmt::format("ingot-report-{}.socket", name));
    CHECK(contains(socket, fmt::format("ListenStream=/run/ingot-report/{}\n", name)));
    CHECK(contains(socket, "SocketMode=0600\n"));
    CHECK(contains(socket, "DirectoryMode=0700\n"));
    CHECK(contains(socket, "Accept=yes\n"));
    const auto service = text_of(part, fmt::format("ingot-report-{}@.service", name));
    CHECK(contains(service, "StandardOutput=socket\n"));
    CHECK(contains(service, "RuntimeMaxSec="));  // a tool that hangs is not there for ever
  }
  const auto runs = [&](const char* name, const char* line) {
    return contains(text_of(part, fmt::format("ingot-report-{}@.service", name)), line);
  };
  CHECK(runs("sshd", "\nExecStart=/usr/lib/ingot/report-tool /usr/sbin/sshd -T\n"));
  CHECK(runs("nft", "\nExecStart=/usr/lib/ingot/report-tool /usr/sbin/nft -j list ruleset\n"));
  CHECK(runs("nft", "\nCapabilityBoundingSet=CAP_NET_ADMIN\n"));
  CHECK(runs("audit_rules", "\nCapabilityBoundingSet=CAP_AUDIT_CONTROL\n"));
  for (const auto* name : {"sshd", "units", "unit_files"}) {
    CHECK(runs(name, "\nPrivateNetwork=yes\n"));
    CHECK_FALSE(runs(name, "\nCapabilityBoundingSet=CAP"));
  }
}
