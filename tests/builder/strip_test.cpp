#include <catch2/catch.hpp>

#include "ingot/builder/base_tree.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Tree with(const std::vector<std::string>& files) {
  Tree tree;
  REQUIRE(tree.put_directory("/etc"));
  for (const auto& path : files) REQUIRE(tree.put_file(path, to_buffer(as_bytes("secret")), 0600));
  return tree;
}

}  // namespace

TEST_CASE("what no golden image may carry is stripped") {
  const auto* path = GENERATE(
      "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key.pub", "/var/lib/dbus/machine-id",
      "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/boot/loader/random-seed", "/etc/hostname",
      "/etc/resolv.conf", "/etc/apt/sources.list", "/etc/apt/apt.conf.d/99mmdebstrap", "/etc/shadow-", "/etc/.pwd.lock",
      "/var/log/dpkg.log", "/var/log/apt/history.log", "/var/cache/ldconfig/aux-cache",
      "/var/cache/debconf/templates.dat", "/var/lib/apt/lists/deb.example_InRelease", "/var/lib/dpkg/status-old",
      "/dev/null", "/run/lock/x", "/tmp/x", "/var/tmp/y/z", "/root/.ssh/authorized_keys", "/root/.bash_history",
      "/home/op/.ssh/id_rsa", "/boot/initrd.img-6.12.0-amd64", "/usr/share/man/man1/ls.1.gz",
      "/usr/share/doc/bash/changelog.gz", "/usr/share/locale/de/LC_MESSAGES/bash.mo",
      "/usr/lib/python3/dist-packages/__pycache__/a.cpython-313.pyc", "/etc/ssl/private/ssl-cert-snakeoil.key",
      "/var/lib/cloud/instance/user-data.txt");
  INFO(path);
  auto tree = with({path});
  strip_tree(tree);
  CHECK(tree.find(path) == nullptr);
}

TEST_CASE("what a node needs is kept") {
  const auto* path = GENERATE("/etc/ssh/sshd_config", "/etc/shadow", "/etc/apt/apt.conf.d/70debconf",
                              "/usr/share/doc/bash/copyright", "/usr/share/locale/locale.alias", "/var/lib/dpkg/status",
                              "/boot/vmlinuz-6.12.0-amd64", "/etc/ld.so.cache", "/usr/lib/python3/dist-packages/a.py",
                              "/home/op/notes", "/devices", "/runner/x", "/etc/ssh/sub/ssh_host_key");
  INFO(path);
  auto tree = with({path});
  strip_tree(tree);
  CHECK(tree.find(path) != nullptr);
}

TEST_CASE("folders that mounts and daemons need survive with their owners") {
  auto tree = with({"/var/log/audit/audit.log", "/proc/1/comm"});
  tree.entries.at("/var/log/audit").mode = 0750;
  tree.entries.at("/var/log/audit").gid = 4;
  strip_tree(tree);
  REQUIRE(tree.find("/var/log/audit") != nullptr);
  CHECK(tree.find("/var/log/audit")->mode == 0750);
  CHECK(tree.find("/var/log/audit")->gid == 4);
  CHECK(tree.find("/proc") != nullptr);
  CHECK(tree.find("/proc/1") == nullptr);
}

TEST_CASE("the machine id is empty, whether or not there was one") {
  auto tree = GENERATE(with({}), with({"/etc/machine-id"}));
  strip_tree(tree);
  REQUIRE(tree.find("/etc/machine-id") != nullptr);
  CHECK(tree.find("/etc/machine-id")->size_bytes == 0);
  CHECK(tree.find("/etc/machine-id")->mode == 0444);
}

TEST_CASE("configuration that is a link is kept") {
  auto tree = with({});
  REQUIRE(tree.put_symlink("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"));
  REQUIRE(tree.put_symlink("/usr/share/doc/libx", "x"));
  strip_tree(tree);
  CHECK(tree.find("/etc/resolv.conf") != nullptr);
  CHECK(tree.find("/usr/share/doc/libx") != nullptr);
}

TEST_CASE("folders of documentation that are left empty go, also beside names that sort between") {
  auto tree = with({"/usr/share/doc/a/changelog", "/usr/share/doc/a-b/copyright", "/usr/share/doc/a/examples/x"});
  strip_tree(tree);
  CHECK(tree.find("/usr/share/doc/a") == nullptr);
  CHECK(tree.find("/usr/share/doc/a-b/copyright") != nullptr);
}

TEST_CASE("stripping twice changes nothing more") {
  auto tree = with({"/etc/hostname", "/var/log/x", "/usr/bin/a"});
  strip_tree(tree);
  const auto digest = tree_digest(tree);
  strip_tree(tree);
  CHECK(tree_digest(tree) == digest);
}

TEST_CASE("root and accounts without a password cannot log in with one") {
  struct Row {
    std::string name, before, after;
  };
  const auto row = GENERATE(values<Row>({
      {"a locked root is left alone", "root:*:19723:0:99999:7:::\n", "root:*:19723:0:99999:7:::\n"},
      {"root's password goes", "root:$y$j9T$abc:19723::::::\n", "root:!*:19723::::::\n"},
      {"an empty password", "op::1::::::\n", "op:!*:1::::::\n"},
      {"root's password was emptied", "root::1::::::\n", "root:!*:1::::::\n"},
      {"another account keeps its own", "op:$y$j9T$abc:1::::::\n", "op:$y$j9T$abc:1::::::\n"},
      {"the last line has no end", "root:x$:1::::::", "root:!*:1::::::\n"},
  }));
  INFO(row.name);
  auto tree = with({});
  REQUIRE(tree.put_file("/etc/shadow", to_buffer(as_bytes(row.before)), 0640, 0, 42));
  REQUIRE(lock_accounts(tree));
  CHECK(as_text(read_tree_file(tree, "/etc/shadow").value()) == row.after);
  CHECK(tree.find("/etc/shadow")->mode == 0640);
  CHECK(tree.find("/etc/shadow")->gid == 42);
}
