// The bastion's rendered files under real sshd, ssh, sudo and sudo_logsrvd of Debian 13: sessions through it work and
// are recorded, and no other way leads to a node. What happens is in tests/tool/bastion.
#include <sstream>

#include "ingot/builder/profile.hpp"
#include "ingot/signer/key.hpp"
#include "oracle_tree.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view common = R"(version = 1
site = "site.toml"
[base]
packages = ["openssh-server", "sudo", "systemd-journal-remote", "openssl", "e2fsprogs", "nginx-light"]
[disk]
data_size = "8GiB"
[network.links.mgmt]
path = "pci-0000:00:02.0"
[network.links.fabric]
path = "pci-0000:00:03.0"
[shipping]
[users.ops]
uid = 2001
principals = ["ops"]
)";

/// The shipped site's management role, which is bastion and collector, and a training node.
struct Bastion {
  builder::TemporaryFolder folder = scratch(INGOT_BUILD);
  std::string keys = path("keys"), files = path("files"), node = path("node");
  Bastion() {
    const auto made = signer::init_keys(keys).value();
    const std::string authority(as_text(read_file(made.certificate("tls-ca"), 1u << 16).value()));
    for (const auto* name : {"ca", "host_ca"})
      output_of({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path(name)});
    fs::copy(std::string(INGOT_SOURCE) + "/profiles/site.toml", path("site.toml"));
    const auto hub = load(authority, R"(name = "hub"
role = "management"
)",
                          R"([users.audit]
uid = 2002
principals = ["audit"]
[ssh]
enabled = true
ca = ["ca.pub"]
[collector]
node_storage = "2GiB"
[bastion]
host_ca = ["host_ca.pub"]
admins = ["ops"]
auditors = ["audit"]
)");
    write_part(files, builder::render_settings(hub, oracle_tree()).value());
    write_part(files, builder::render_shipping(hub).value());
    write_part(files, builder::render_bastion(hub).value());
    const auto training = load(authority, R"(name = "gpu"
role = "training"
)",
                               R"([ssh]
enabled = true
ca = ["ca.pub"]
host_certificate = true
)");
    write_part(node, builder::render_settings(training, oracle_tree()).value());
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder.path() + "/" + name; }

 private:
  [[nodiscard]] Profile load(const std::string& authority, const std::string& head, const std::string& tail) const {
    REQUIRE(write_file(path("p.toml"), as_bytes(head + std::string(common) + tail)));
    auto profile = builder::load_profile(path("p.toml"));
    if (!profile) FAIL(describe(profile.error()));
    REQUIRE(builder::complete_shipping(*profile, {"10.10.0.8", authority}));
    return *std::move(profile);
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("bastion: sessions are opened, recorded, and there is no way around") {
  const Bastion made;
  builder::Command command;
  const std::string build = INGOT_BUILD;
  command.argv = {std::string(INGOT_SOURCE) + "/tests/tool/bastion",
                  oracles,
                  made.files,
                  made.node,
                  build + "/ingot",
                  build + "/ingot-agent",
                  made.keys,
                  made.folder.path()};
  command.timeout_seconds = 600;
  const auto done = builder::run_checked(command);
  if (!done) FAIL(describe(done.error()));
  std::map<std::string, std::string> told;
  std::istringstream lines{std::string(as_text(done->output))};
  for (std::string name, value; lines >> name && std::getline(lines, value);)
    told[name] = value.empty() ? value : value.substr(1);
  for (const auto& [name, value] : told) std::cerr << "bastion: " << name << " " << value << "\n";
  const auto says = [&](const std::string& name, const std::string& part) {
    INFO(name << " is " << told.at(name) << ", expected " << part);
    CHECK(has(told.at(name), part));
  };

  says("config.sudoers", "valid");
  says("config.sshd", "valid");
  CHECK(told.at("key.mode") == "600 899");
  says("keep.key", "ssh-ed25519");
  says("keep.no_source", "has no source-address");
  says("keep.other_key", "another key");
  says("keep.certificate", "source-address 10.10.0.8/32");
  says("keep.nodes_outside", "no flow of the site");
  says("keep.list", "gpu-1");
  says("keep.tls_request", "BEGIN CERTIFICATE REQUEST");
  says("keep.not_an_admin", "may not do that");
  says("keep.not_an_auditor", "may not do that");

  for (const auto* name : {"record.no_identity", "record.no_recorder", "down.new_session", "host.uncertified"}) {
    INFO(name << " is " << told.at(name));
    CHECK_FALSE(told.at(name).empty());
    CHECK_FALSE(has(told.at(name), "reached"));
  }
  says("host.known", "reached");
  says("login.command", "c-42 ops 10.10.0.8 ");
  CHECK(told.at("login.address") == "address");
  CHECK(told.at("login.status") == "7");
  CHECK(told.at("login.input") == "300000");
  says("login.terminal", "/dev/pts/");
  says("login.terminal", "t-42");
  CHECK(told.at("login.terminal").ends_with("|5"));
  CHECK(told.at("login.escape") == "0");
  says("login.password", "length 14");
  CHECK(told.at("record.password") == "0");

  // Who, by which certificate, from where, to where; what was shown, what was typed.
  says("record.list", "ops : ");
  says("record.list", "serial=7");
  says("record.list", "id=ops@laptop");
  says("record.list", "ca=SHA256:");
  says("record.list", "10.60.0.130 gpu-1");
  says("record.replay", "t-42");
  says("record.typed", "echo t-$((40+2))");
  says("journal.start", "id=ops@laptop");
  says("journal.start", "10.60.0.130 gpu-1 2001");
  CHECK(told.at("journal.same") == "1");

  says("around_control", "SSH-2.0");
  std::size_t ways = 0;
  for (const auto& [name, value] : told) {
    if (!name.starts_with("around.")) continue;
    INFO(name << " is " << value);
    CHECK_FALSE(has(value, "OPEN"));
    CHECK_FALSE(has(value, "uid="));
    CHECK_FALSE(has(value, "PRIVATE KEY"));
    ++ways;
  }
  CHECK(ways >= 38);
  for (const auto* name : {"around.scp_old", "around.rsync"}) says(name, "files are not copied");
  for (const auto* name :
       {"around.bastion", "around.loopback", "around.loopback_v6", "around.mapped", "around.outside"})
    says(name, "no flow of the site");
  says("around.second_address", "Permission denied");
  says("around.key_readable", "Permission denied");
  CHECK(std::stol(told.at("around.refusals_in_journal")) >= 15);

  CHECK(told.at("down.session_ends_in") != "never");
  says("down.again", "reached");
  CHECK(told.at("down.sudo_killed") != "never");
}

TEST_CASE("bastion: systemd takes the unit, and it is no more exposed than 2.0") {
  const Bastion made;
  std::istringstream lines(
      output_of({std::string(INGOT_SOURCE) + "/tests/tool/units", oracles, made.files, "ingot-onward-key.service"}));
  for (std::string kind, line; lines >> kind && std::getline(lines, line);) {
    INFO(kind << line);
    if (kind == "verify") FAIL_CHECK("systemd-analyze verify has something to say");
    if (kind != "exposure") continue;
    const auto tenths = std::stoi(line.substr(line.rfind(' ')));
    std::cerr << "bastion: exposure of" << line << " tenths\n";
    CHECK(tenths >= 0);
    CHECK(tenths <= 20);
  }
}
