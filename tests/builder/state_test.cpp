// What lies below /var in a base tree comes to be at boot instead.
#include <catch2/catch.hpp>

#include "ingot/builder/config.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

Tree tree_with_state() {
  Tree tree;
  REQUIRE(tree.put_directory("/"));
  REQUIRE(tree.put_directory("/var"));
  REQUIRE(tree.put_directory("/var/mail", 02775));
  tree.entries["/var/mail"].gid = 8;
  REQUIRE(tree.put_symlink("/var/lock", "/run/lock"));
  REQUIRE(tree.put_file("/var/lib/pam/auth", to_buffer(as_bytes("old")), 0640, 0, 42));
  REQUIRE(tree.put_file("/var/lib/dpkg/status", to_buffer(as_bytes("Package: a\n"))));
  REQUIRE(tree.put_file("/var/odd \"100%\"", {}));
  return tree;
}

std::string text_of(const Tree& tree, const std::string& path) {
  return std::string(as_text(read_tree_file(tree, path).value()));
}

}  // namespace

TEST_CASE("state: /var is empty in the image, and rules make it again at boot") {
  auto tree = tree_with_state();
  REQUIRE(move_state(tree));
  CHECK(tree.entries.lower_bound("/var/") == tree.entries.lower_bound("/var0"));
  const auto rules = text_of(tree, "/usr/lib/tmpfiles.d/zz-ingot-var.conf");
  for (const auto* line :
       {"d \"/var/mail\" 2775 0 8\n", "L \"/var/lock\" - - - - /run/lock\n", "d \"/var/lib/pam\" 0755 0 0\n",
        "C \"/var/lib/pam/auth\" 0640 0 42 - /usr/share/factory/var/lib/pam/auth\n",
        "L \"/var/lib/dpkg\" - - - - /usr/lib/sysimage/dpkg\n", "C \"/var/odd \\\"100%%\\\"\" 0644 0 0 - "}) {
    CAPTURE(line, rules);
    CHECK(rules.find(line) != std::string::npos);
  }
  CHECK(rules.find("dpkg/") == std::string::npos);
  CHECK(text_of(tree, "/usr/share/factory/var/lib/pam/auth") == "old");
  CHECK(text_of(tree, "/usr/lib/sysimage/dpkg/status") == "Package: a\n");
  CHECK(tree.find("/usr/share/factory/var/lib/pam/auth")->mode == 0640);
}

TEST_CASE("state: a tree without state gets no rules") {
  Tree tree;
  REQUIRE(tree.put_directory("/var"));
  REQUIRE(move_state(tree));
  CHECK(tree.find("/usr/lib/tmpfiles.d/zz-ingot-var.conf") == nullptr);
}

TEST_CASE("state: what rules cannot make again is refused") {
  for (const auto type : {EntryType::character_device, EntryType::block_device, EntryType::fifo}) {
    auto tree = tree_with_state();
    tree.entries["/var/odd"].type = type;
    const auto done = move_state(tree);
    REQUIRE(!done);
    CHECK(done.error().message.find("/var/odd") != std::string::npos);
  }
  auto tree = tree_with_state();
  tree.entries["/var/twin"] = tree.entries["/var/lib/pam/auth"];
  tree.entries["/var/twin"].hard_link_to = "/var/lib/pam/auth";
  CHECK(!move_state(tree));
}
