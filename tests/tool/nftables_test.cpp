// nft and the kernel judge the rulesets, in network namespaces of their own.
#include <fmt/format.h>

#include <regex>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/network.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot/check/alerts.hpp"
#include "tool/tool.hpp"

using namespace ingot;
using namespace ingot::builder;
using ingot::test::output_of;
using ingot::test::run_tool;

namespace {

Site shipped() { return load_site(INGOT_SOURCE "/profiles/site.toml").value(); }

std::string put(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  const auto path = folder.path() + "/" + name;
  REQUIRE(write_file(path, as_bytes(text)));
  return path;
}

/// What the script prints in a namespace that has nothing but a loopback interface.
std::string in_namespace(const std::string& script) { return output_of({"unshare", "--net", "sh", "-euc", script}); }

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("nftables: every role's ruleset loads, and the kernel gives it back closed") {
  const auto site = shipped();
  const auto folder = test::scratch();
  for (const auto& role : site.roles) {
    INFO(role.name);
    const auto path = put(folder, role.name + ".nft", nftables_ruleset(site, role));
    const auto listed = in_namespace("nft -c -f " + path + "; nft -f " + path + "; nft list ruleset");
    // The nft that the image has reads the same file, 1.1 beside this machine's.
    in_namespace("chroot " INGOT_BUILD "/../oracles nft -c -f - <" + path);
    CHECK(count(listed, "policy drop;") == 3);
    CHECK(count(listed, "policy accept;") == 0);
    CHECK(count(listed, "hook input") == 1);
    CHECK(count(listed, "hook forward") == 1);
    CHECK(count(listed, "hook output") == 1);
    for (const auto& member : role.planes) {
      CHECK(listed.find("chain in-" + member.plane + " {") != std::string::npos);
      CHECK(listed.find("chain out-" + member.plane + " {") != std::string::npos);
    }
    CHECK(count(listed, " iif ") + count(listed, " oif ") == 0);  // interfaces come later than the ruleset
  }
}

TEST_CASE("nftables: a ruleset that the kernel refuses leaves the machine closed") {
  const auto folder = test::scratch();
  const auto closed = put(folder, "closed.nft", closed_ruleset());
  const auto broken = put(folder, "broken.nft", "flush ruleset\ntable inet ingot { chain input { jump nowhere } }\n");
  const auto listed =
      in_namespace("nft -f " + closed + "; nft -f " + broken + " 2>/dev/null || echo refused; nft list ruleset");
  CHECK(listed.starts_with("refused\n"));
  CHECK(count(listed, "policy drop;") == 3);
}

TEST_CASE("nftables: what is between two nodes is what the flows say") {
  const auto site = shipped();
  const auto folder = test::scratch();
  const auto node = put(folder, "training.nft", nftables_ruleset(site, *site.role("training")));
  const auto bastion = put(folder, "management.nft", nftables_ruleset(site, *site.role("management")));
  const auto seen = output_of({"unshare", "--net", INGOT_SOURCE "/tests/tool/two-nodes", node, bastion, folder.path()});
  CHECK(seen ==
        "ssh-in-4 yes\nssh-in-6 yes\nnfs-in no\nlogs-out yes\nssh-out no\nssh-from-inference "
        "no\nssh-spoofed no\ncounted\n");
}

TEST_CASE("nftables: a VTEP that the site does not list gets nothing into an overlay") {
  const auto site = shipped();
  const auto folder = test::scratch();
  const auto storage = put(folder, "storage.nft", nftables_ruleset(site, *site.role("storage")));
  CHECK(output_of({"unshare", "--net", INGOT_SOURCE "/tests/tool/rogue-vtep", storage}) ==
        "a listed VTEP: connected yes, seen inside yes\n"
        "one of another subnet: connected no, seen inside no\n"
        "an unlisted one of the subnet: connected no, seen inside no\n"
        "the same, without the list: connected no, seen inside yes\n");
}

TEST_CASE("nftables: what a node may not send, and once for each connection on which it sent much, is an alert") {
  const auto site = shipped();
  const auto folder = test::scratch();
  const auto ruleset = nftables_ruleset(site, *site.role("training"));
  const auto node =
      put(folder, "node.nft",
          std::regex_replace(ruleset, std::regex(R"((log prefix "[^"]*") level info( flags skuid)?)"), "$1 group 7"));
  const auto seen = output_of({"unshare", "--net", INGOT_SOURCE "/tests/tool/logged-packets", node});
  CHECK(seen ==
        "1000 MiB: ingot new: \n"
        "1030 MiB: ingot new:  | ingot-transfer \n"
        "1030 MiB again: ingot new:  | ingot-transfer \n"
        "no flow: ingot-drop-out management: \n"
        "another role's address: ingot-drop-out spoofed: \n"
        "asked from outside: ingot-drop-in management: \n");
  const auto kind = [](const std::string& prefix) {
    const auto alert = check::judge({{"_TRANSPORT", "kernel"}, {"MESSAGE", prefix + "IN= OUT=management SRC="}});
    return std::string(alert ? alert->kind : "");
  };
  CHECK(kind("ingot-transfer ") == "transfer");
  for (const auto* where : {"management", "spoofed", "rogue-vtep"}) {
    const auto prefix = fmt::format("ingot-drop-out {}: ", where);
    CHECK(ruleset.find(fmt::format("log prefix \"{}\"", prefix)) != std::string::npos);
    CHECK(kind(prefix) == "outbound");
  }
  CHECK(kind("ingot-drop-in management: ").empty());
  CHECK(kind("ingot-drop-invalid: ").empty());
}
