#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/builder/config.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/builder/profile.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

const std::string head = R"(name = "hub"
version = 1
role = "management"
site = "site.toml"
[base]
packages = ["openssh-server", "sudo", "systemd-journal-remote", "openssl", "e2fsprogs", "nginx-light"]
[disk]
data_size = "8GiB"
[network.links.mgmt]
path = "pci-0000:00:02.0"
[shipping]
[collector]
node_storage = "2GiB"
[users.ops]
uid = 2001
principals = ["ops"]
[ssh]
enabled = true
ca = ["ca.pub"]
from = ["10.60.0.128/25"]
[bastion]
)";
const std::string keys = "host_ca = [\"ca.pub\"]\nadmins = [\"ops\"]\nauditors = [\"ops\"]\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// The shipped site beside a profile, and keys that the profile may name.
class Folder {
 public:
  Folder() {
    std::filesystem::copy(INGOT_SOURCE "/profiles/site.toml", path("site.toml"));
    REQUIRE(
        write_file(path("ca.pub"), as_bytes("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + std::string(43, 'A') + " ca\n")));
    REQUIRE(write_file(path("empty.pub"), as_bytes("# none\n")));
    REQUIRE(write_file(path("ca"), as_bytes("-----BEGIN OPENSSH PRIVATE KEY-----\n")));
  }
  [[nodiscard]] Result<Profile> load(const std::string& text) const {
    REQUIRE(write_file(path("p.toml"), as_bytes(text)));
    return load_profile(path("p.toml"));
  }
  void write_site(const std::string& from, const std::string& to) const {
    const auto site = read_file(INGOT_SOURCE "/profiles/site.toml", 1u << 20).value();
    REQUIRE(write_file(path("site.toml"), as_bytes(replaced(std::string(as_text(site)), from, to))));
  }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  TemporaryFolder folder_ = TemporaryFolder::create(std::filesystem::temp_directory_path(), "ingot-test-").value();
};

std::string text_of(const ConfigPart& part, const std::string& path) {
  for (const auto& file : part.files)
    if (file.path == path) return std::string(as_text(file.content));
  FAIL("no file " << path);
  return {};
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("bastion: where flows of the site lead, and nowhere else") {
  const Folder folder;
  auto profile = folder.load(head + keys);
  if (!profile) FAIL(describe(profile.error()));
  profile->shipping.collector = "fd00:10::8";
  const auto part = render_bastion(*profile).value();
  const auto targets = text_of(part, "/etc/ingot/bastion-targets");
  for (const auto* line : {"training 10.10.1.0-10.10.1.255\n", "inference 10.10.2.0-10.10.2.255\n",
                           "storage 10.10.3.1-10.10.3.254\n", "training fd00:10::1:0-fd00:10::1:ffff\n"}) {
    INFO(targets);
    CHECK(contains(targets, line));
  }
  CHECK_FALSE(contains(targets, "management "));
  CHECK_FALSE(contains(targets, "10.20."));
  const auto sudoers = text_of(part, "/etc/sudoers.d/ingot-bastion");
  CHECK(contains(sudoers, "log_servers=\"[fd00:10::8]:30344(tls)\""));
  CHECK(contains(sudoers, "\nops ALL=(ingot-onward) NOPASSWD: /usr/lib/ingot/ingot-onward\n"));
  CHECK(contains(text_of(part, "/etc/ingot/onward_known_hosts"), "@cert-authority * ssh-ed25519 AAAA"));
  // Nobody keeps it, nobody listens: no rules for that.
  profile->bastion.admins.clear();
  profile->bastion.auditors.clear();
  CHECK_FALSE(contains(text_of(render_bastion(*profile).value(), "/etc/sudoers.d/ingot-bastion"),
                       "NOPASSWD: /usr/lib/ingot/ingot-bastion-care"));
}

TEST_CASE("bastion: nothing without [bastion], an error before the collector is known") {
  const Folder folder;
  auto profile = folder.load(head + keys).value();
  CHECK(render_bastion(profile).error().code == ErrorCode::internal);
  profile.bastion.enabled = false;
  CHECK(render_bastion(profile).value().files.empty());
}

TEST_CASE("bastion: wrong profiles are told with place and remedy") {
  struct Row {
    std::string defect, from, to, message, remedy;
  };
  const auto row = GENERATE(values<Row>({
      {"an unknown key", keys, "hosts_ca = []\n", "hosts_ca", "host_ca"},
      {"no site", "site = \"site.toml\"\n", "", "needs a site", "site = "},
      {"no SSH", "enabled = true\nca", "enabled = false\nca", "needs an SSH daemon", "enabled = true"},
      {"no shipping", "[shipping]\n[collector]\nnode_storage = \"2GiB\"\n", "", "ships nothing", "[shipping]"},
      {"no collector on the collector", "[collector]\nnode_storage = \"2GiB\"\n", "", "takes no records in",
       "[collector]"},
      {"no sudo", "\"sudo\", ", "", "sudo", "add \"sudo\""},
      {"an admin who is no user", "admins = [\"ops\"]", "admins = [\"eve\"]", "names eve", "[users.eve]"},
      {"an auditor who is no user", "auditors = [\"ops\"]", "auditors = [\"root\"]", "names root", "[users.root]"},
      {"a CA that is not there", "host_ca = [\"ca.pub\"]", "host_ca = [\"x.pub\"]", "x.pub", ""},
      {"a CA without a key", "host_ca = [\"ca.pub\"]", "host_ca = [\"empty.pub\"]", "no key in it", ""},
      {"a private key", "host_ca = [\"ca.pub\"]", "host_ca = [\"ca\"]", "private key", ""},
      {"a bastion without [bastion]", "[bastion]\n" + keys, "", "nothing records", "[bastion]"},
  }));
  INFO(row.defect);
  const Folder folder;
  const auto profile = folder.load(replaced(head + keys, row.from, row.to));
  REQUIRE_FALSE(profile);
  const auto told = describe(profile.error());
  INFO(told);
  CHECK(profile.error().code == ErrorCode::malformed);
  CHECK(contains(told, "p.toml:"));
  CHECK(contains(told, row.message));
  CHECK(contains(told, row.remedy));
}

TEST_CASE("bastion: a site that makes no sense of it") {
  struct Row {
    std::string defect, from, to, message;
  };
  const auto row = GENERATE(values<Row>({
      {"another bastion", "bastion = \"management\"", "bastion = \"storage\"", "bastion"},
      {"no flow", "ports = [\"tcp/22\"]\nwhy = \"the bastion opens", "ports = [\"tcp/23\"]\nwhy = \"the bastion opens",
       ""},
  }));
  INFO(row.defect);
  const Folder folder;
  folder.write_site(row.from, row.to);
  const auto profile = folder.load(head + keys);
  REQUIRE_FALSE(profile);
  CHECK(contains(describe(profile.error()), row.message));
}
