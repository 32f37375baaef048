#include <catch2/catch.hpp>

#include "ingot/builder/config.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Tree bootable() {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  const auto put = [&](const char* path, const char* text) { REQUIRE(tree.put_file(path, to_buffer(as_bytes(text)))); };
  put("/usr/lib/systemd/systemd", "elf");
  put("/usr/lib/os-release", "ID=debian\nIMAGE_ID=old\nVERSION_ID=\"13\"\n");
  REQUIRE(tree.put_symlink("/etc/os-release", "../usr/lib/os-release"));
  put("/etc/shadow", "root:$y$j9T$secret:19000:0:99999:7:::\ndaemon:*:19000::::::\n");
  put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  put("/boot/vmlinuz-6.12", "kernel");
  put("/boot/config-6.12", "CONFIG_SECURITY_IPE=y\n");
  REQUIRE(tree.put_symlink("/etc/systemd/system/multi-user.target.wants/ssh.service",
                           "/usr/lib/systemd/system/ssh.service"));
  return tree;
}

std::string text_of(const Tree& tree, const char* path) {
  return std::string(as_text(read_tree_file(tree, path).value()));
}

}  // namespace

TEST_CASE("overlay: root cannot log in, nothing asks on the console, no identity of the build is left") {
  Profile profile;
  profile.name = "inference";
  profile.version = 7;
  profile.files.push_back({"/etc/motd", to_buffer(as_bytes("cast\n")), 0600, 3, 4});
  const auto node = apply_profile(bootable(), profile, {memory_source({1, 2, 3}), "[Unit]\n"});
  REQUIRE(node);
  const auto* tree = &node->tree;
  CHECK(text_of(*tree, "/etc/shadow") == "root:!*:19000:0:99999:7:::\ndaemon:*:19000::::::\n");
  CHECK(text_of(*tree, "/etc/machine-id").empty());
  CHECK(text_of(*tree, "/etc/os-release") == "ID=debian\nVERSION_ID=\"13\"\nIMAGE_ID=inference\nIMAGE_VERSION=7\n");
  for (const auto* unit : {"debug-shell.service", "rescue.service", "getty@.service", "serial-getty@.service"})
    CHECK(tree->find(std::string("/etc/systemd/system/") + unit)->link_target == "/dev/null");
  const auto emergency = text_of(*tree, "/etc/systemd/system/emergency.service");
  CHECK(emergency.find("SuccessAction=poweroff-force\nFailureAction=poweroff-force\n") != std::string::npos);
  CHECK(tree->find("/etc/systemd/system/multi-user.target.wants/ssh.service") == nullptr);
  CHECK(tree->find("/boot/vmlinuz-6.12") == nullptr);
  CHECK(tree->find("/boot/config-6.12") != nullptr);
  CHECK(tree->find("/usr/lib/ingot/ingot-agent")->mode == 0755);
  CHECK(tree->resolve("/usr/lib/systemd/system/multi-user.target.wants/ingot-agent.service") != nullptr);
  const auto* motd = tree->find("/etc/motd");
  REQUIRE(motd != nullptr);
  CHECK(motd->mode == 0600);
  CHECK(motd->uid == 3);
  CHECK(motd->gid == 4);
}

TEST_CASE("overlay: locking root whatever its line says") {
  struct Row {
    const char* name;
    const char* before;
    const char* after;
  };
  const Row rows[] = {
      {"empty password", "root::1::::::\n", "root:!*:1::::::\n"},
      {"no root line", "daemon:*:1::::::\n", "daemon:*:1::::::\nroot:!*:::::::\n"},
      {"already locked", "root:!*:1::::::\n", "root:!*:1::::::\n"},
      {"another user whose name starts so", "rooty:x:1::::::\nroot:x:1::::::\n", "rooty:x:1::::::\nroot:!*:1::::::\n"},
      {"no final line feed", "root:x:1::::::", "root:!*:1::::::\n"}};
  for (const auto& row : rows) {
    INFO(row.name);
    CHECK(lock_root(row.before).value() == row.after);
  }
  CHECK(lock_root("root:cut").error().code == ErrorCode::malformed);
}

TEST_CASE("overlay: a base without systemd is refused with what to do") {
  const auto tree = apply_profile(Tree{}, Profile{}, {memory_source({}), ""});
  REQUIRE_FALSE(tree);
  CHECK(tree.error().code == ErrorCode::missing);
  CHECK_FALSE(tree.error().remedy.empty());
}
