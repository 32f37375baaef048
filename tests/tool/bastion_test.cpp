// The bastion's rendered files under real sshd, ssh, sudo and sudo_logsrvd of Debian 13: sessions through it work and
// are recorded, and no other way leads to a node. What happens is in tests/tool/bastion.
#include "ingot/builder/profile.hpp"
#include "ingot/signer/key.hpp"
#include "service_lab.hpp"

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
  const std::string build = INGOT_BUILD;
  const Told told("bastion", {std::string(INGOT_SOURCE) + "/tests/tool/bastion", oracles, made.files, made.node,
                              build + "/ingot", build + "/ingot-agent", made.keys, made.folder.path()});

  told.says("config.sudoers", "valid");
  told.says("config.sshd", "valid");
  CHECK(told.at("key.mode") == "600 899");
  told.says("keep.key", "ssh-ed25519");
  told.says("keep.no_source", "has no source-address");
  told.says("keep.other_key", "another key");
  told.says("keep.certificate", "source-address 10.10.0.8/32");
  told.says("keep.nodes_outside", "no flow of the site");
  told.says("keep.list", "gpu-1");
  told.says("keep.tls_request", "BEGIN CERTIFICATE REQUEST");
  told.says("keep.not_an_admin", "may not do that");
  told.says("keep.not_an_auditor", "may not do that");

  for (const auto* name : {"record.no_identity", "record.no_recorder", "down.new_session", "host.uncertified"}) {
    INFO(name << " is " << told.at(name));
    CHECK_FALSE(told.at(name).empty());
    CHECK_FALSE(has(told.at(name), "reached"));
  }
  told.says("host.known", "reached");
  told.says("login.command", "c-42 ops 10.10.0.8 ");
  CHECK(told.at("login.address") == "address");
  CHECK(told.at("login.status") == "7");
  CHECK(told.at("login.input") == "300000");
  told.says("login.terminal", "/dev/pts/");
  told.says("login.terminal", "t-42");
  CHECK(told.at("login.terminal").ends_with("|5"));
  CHECK(told.at("login.escape") == "0");
  told.says("login.password", "length 14");
  CHECK(told.at("record.password") == "0");

  // Who, by which certificate, from where, to where; what was shown, what was typed.
  told.says("record.list", "ops : ");
  told.says("record.list", "serial=7");
  told.says("record.list", "id=ops@laptop");
  told.says("record.list", "ca=SHA256:");
  told.says("record.list", "10.60.0.130 gpu-1");
  told.says("record.replay", "t-42");
  told.says("record.typed", "echo t-$((40+2))");
  told.says("journal.start", "id=ops@laptop");
  told.says("journal.start", "10.60.0.130 gpu-1 2001");
  CHECK(told.at("journal.same") == "1");

  told.says("around_control", "SSH-2.0");
  std::size_t ways = 0;
  for (const auto& [name, value] : told.all()) {
    if (!name.starts_with("around.")) continue;
    INFO(name << " is " << value);
    CHECK_FALSE(has(value, "OPEN"));
    CHECK_FALSE(has(value, "uid="));
    CHECK_FALSE(has(value, "PRIVATE KEY"));
    ++ways;
  }
  CHECK(ways >= 38);
  for (const auto* name : {"around.scp_old", "around.rsync"}) told.says(name, "files are not copied");
  for (const auto* name :
       {"around.bastion", "around.loopback", "around.loopback_v6", "around.mapped", "around.outside"})
    told.says(name, "no flow of the site");
  told.says("around.second_address", "Permission denied");
  told.says("around.key_readable", "Permission denied");
  CHECK(std::stol(told.at("around.refusals_in_journal")) >= 15);

  CHECK(told.at("down.session_ends_in") != "never");
  told.says("down.again", "reached");
  CHECK(told.at("down.sudo_killed") != "never");
}

TEST_CASE("bastion: systemd takes the unit, and it is no more exposed than 2.0") {
  const Bastion made;
  check_units(made.files, {"ingot-onward-key.service"});
}
