// No unit of Debian 13 hands out a shell on the console of a node; where start fails, it powers off.
#include "ingot/builder/profile.hpp"
#include "oracle_tree.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

/// Starts a shell or asks for a password on a terminal.
bool asks_on_console(std::string_view unit) {
  return unit.find("sulogin") != std::string_view::npos || unit.find("/agetty") != std::string_view::npos ||
         unit.find("ExecStart=/usr/bin/bash") != std::string_view::npos ||
         unit.find("ExecStart=/bin/bash") != std::string_view::npos;
}

}  // namespace

TEST_CASE(
    "console: every unit of Debian that would ask there is masked or replaced, and systemd takes what replaces it") {
  Profile profile;
  profile.name = "node";
  auto base = oracle_tree();
  REQUIRE(base.put_file("/usr/lib/systemd/systemd", {}, 0755));
  const auto node = builder::apply_profile(std::move(base), profile, {memory_source({1}), "[Unit]\n"});
  if (!node) FAIL(describe(node.error()));

  std::size_t asking = 0;
  for (const auto& found : fs::directory_iterator(oracles + "/usr/lib/systemd/system")) {
    if (!found.is_regular_file()) continue;
    const auto name = found.path().filename().string();
    if (!asks_on_console(as_text(read_file(found.path().string(), 1u << 20).value()))) continue;
    ++asking;
    INFO(name);
    const auto* instead = node->tree.find("/etc/systemd/system/" + name);
    REQUIRE(instead != nullptr);
    if (instead->type == builder::EntryType::symlink) {
      CHECK(instead->link_target == "/dev/null");
    } else {
      const auto text = builder::read_tree_file(node->tree, "/etc/systemd/system/" + name).value();
      CHECK_FALSE(asks_on_console(as_text(text)));
      CHECK(as_text(text).find("FailureAction=poweroff-force\n") != std::string_view::npos);
    }
  }
  CHECK(asking >= 4);  // emergency, rescue, getty@, serial-getty@

  const auto folder = scratch();
  const std::string path = "/etc/systemd/system/emergency.service";
  const auto text = builder::read_tree_file(node->tree, path).value();
  fs::create_directories(fs::path(folder.path() + path).parent_path());
  REQUIRE(write_file(folder.path() + path, text));
  const auto said = output_of({std::string(INGOT_SOURCE) + "/tests/tool/units", oracles, folder.path(),
                               "emergency.service", "emergency.target"});
  CHECK(said.find("verify ") == std::string::npos);
  CHECK(said.starts_with("exposure emergency.service "));
}
