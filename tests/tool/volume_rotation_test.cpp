// Volumes while the keys of Secure Boot are replaced: sealed anew by the systemd of Debian 13 as our initrd starts it,
// and opened by it.
#include <catch2/catch.hpp>

#include "volume_disk.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

/// A node with one volume, whose machine has one db after another.
class Node {
 public:
  Node() : site(tpm) {
    profile_.volumes = {test_volume("models", "/srv/models")};
    profile_.volumes.front().grow = true;
    fs::copy_file(std::string(INGOT_BUILD) + "/ingot-agent", tpm.file("agent"));
    tpm.make_srk("ecc256:aes128cfb");
  }
  /// What PCR 7 is on a machine with this db.
  Digest pcr_7(const std::string& db) {
    site.platform.events.at(1) = event(7, "db", db);
    return site.policy().by_value.at(HashAlg::sha256).at(7);
  }
  /// The machine starts, with this db, a release that binds volumes to these values.
  void start(const std::string& db, const std::vector<Digest>& next) {
    (void)pcr_7(db);
    profile_.boot.next_pcr_7 = next;
    tpm.restart();
    site.boot(tpm);
  }
  void make_volume() {
    cast(tpm, profile_);
    output_of(first_boot(tpm));
    take_out(tpm, volumes_on(tpm.file("disk")).back());
  }
  /// "made\n" when the key was sealed anew.
  [[nodiscard]] std::string bind(int lines = 99) const {
    put_initrd(tpm, profile_);
    tpm.forget_objects();
    const auto done = run_tool(stock_units(tpm, "binding-check", "binding-seal", lines));
    INFO(done.error_tail);
    CHECK(done.exit_code == (lines == 99 ? 0 : 9));
    return std::string(as_text(done.output));
  }
  /// The volume stays as it is.
  [[nodiscard]] bool opens_here() const {
    fs::copy_file(tpm.file("volume"), tpm.file("kept"), fs::copy_options::overwrite_existing);
    const bool opened = opens(tpm);
    fs::rename(tpm.file("kept"), tpm.file("volume"));  // without the key slot that opening it gave it
    return opened;
  }
  [[nodiscard]] std::size_t slots() const {
    const auto dump =
        nlohmann::json::parse(output_of({"cryptsetup", "luksDump", "--dump-json-metadata", tpm.file("volume")}));
    CHECK(dump.at("tokens").size() == dump.at("keyslots").size());
    return dump.at("keyslots").size();
  }

  Tpm tpm;
  SealingSite site;

 private:
  Profile profile_;
};

}  // namespace

TEST_CASE("rotation: a volume opens on its machine as it is and as it will be, and what it has left opens nothing") {
  if (no_systemd()) return;
  Node node;
  const auto overlap = node.pcr_7("old and new"), revoked = node.pcr_7("new");
  const std::vector<Digest> next = {overlap, revoked};
  node.start("old", next);
  node.make_volume();
  CHECK(node.slots() == 1);
  CHECK(node.bind() == "made\n");
  CHECK(node.slots() == 3);
  CHECK(node.bind().empty());  // each further boot finds it so
  CHECK(node.opens_here());
  for (const auto* db : {"new", "somebody's", "old and new"}) {
    node.start(db, next);
    INFO(db);
    CHECK(node.opens_here() == (db != std::string("somebody's")));
  }
  // The machine has taken the first step.
  CHECK(node.bind() == "made\n");
  CHECK(node.slots() == 2);
  node.start("old", next);
  CHECK_FALSE(node.opens_here());
  // And the last; the next release says nothing of it any more.
  node.start("new", {});
  CHECK(node.opens_here());
  CHECK(node.bind() == "made\n");
  CHECK(node.slots() == 1);
  CHECK(node.bind().empty());
  CHECK(node.opens_here());
  node.start("old and new", {});
  CHECK_FALSE(node.opens_here());
}

TEST_CASE("rotation: where the power goes out while a key is sealed, the volume opens, and the next boot finishes") {
  if (no_systemd()) return;
  Node node;
  const std::vector<Digest> next = {node.pcr_7("old and new"), node.pcr_7("new")};
  node.start("old", next);
  node.make_volume();
  for (const int lines : {0, 1, 2}) {
    INFO("after " << lines << " lines");
    fs::copy_file(node.tpm.file("volume"), node.tpm.file("first"), fs::copy_options::overwrite_existing);
    (void)node.bind(lines);
    CHECK(node.opens_here());
    CHECK(node.bind() == "made\n");
    CHECK(node.slots() == 3);
    CHECK(node.opens_here());
    fs::rename(node.tpm.file("first"), node.tpm.file("volume"));
  }
}
