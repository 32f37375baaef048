// What a node keeps between boots. The oracle for overlays is qemu-img.
#include "../../qemu/node.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/process.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  Fixture() { REQUIRE(write_file(disk, Buffer(1u << 20, 1))); }
  builder::TemporaryFolder folder = builder::TemporaryFolder::create(fs::temp_directory_path(), "ingot-test-").value();
  std::string disk = folder.path() + "/disk.raw";
  std::string node = folder.path() + "/node";

  /// Leaves a trace in the overlay, as a node that writes to its disk does.
  static void write_to(const std::string& overlay) {
    REQUIRE(builder::run_checked({.argv = {"qemu-io", "-c", "write -P 7 0 4096", overlay}}));
  }
  static bool has_trace(const std::string& overlay) {
    const auto done = builder::run({.argv = {"qemu-io", "-c", "read -P 7 0 4096", overlay}});
    REQUIRE(done);
    return as_text(done->output).find("verification failed") == std::string_view::npos;
  }
};

}  // namespace

TEST_CASE("node: a fresh one reads the image itself and keeps nothing") {
  const auto files = rig::fresh_node("/images/disk.raw", "/run/x");
  CHECK(files.disk == "/images/disk.raw");
  CHECK_FALSE(files.disk_is_overlay);
  CHECK(files.vars == "/run/x/VARS.fd");
}

TEST_CASE("node: changes to the disk live on, and never reach the image") {
  Fixture fixture;
  const auto image = read_file(fixture.disk, 1u << 20).value();
  const auto first = rig::kept_node(fixture.node, fixture.disk);
  REQUIRE(first);
  CHECK(first->disk_is_overlay);
  Fixture::write_to(first->disk);
  REQUIRE(rig::kept_node(fixture.node, fixture.disk));
  CHECK(Fixture::has_trace(first->disk));
  CHECK(read_file(fixture.disk, 1u << 20).value() == image);
}

TEST_CASE("node: another image under it is a redeployment, its variables stay") {
  Fixture fixture;
  const auto first = rig::kept_node(fixture.node, fixture.disk).value();
  Fixture::write_to(first.disk);
  REQUIRE(write_file(first.vars, as_bytes("the node's own")));
  REQUIRE(write_file(fixture.disk, Buffer(2u << 20, 2)));  // a new build replaces the file
  REQUIRE(rig::kept_node(fixture.node, fixture.disk));
  CHECK_FALSE(Fixture::has_trace(first.disk));
  CHECK(as_text(read_file(first.vars, 100).value()) == "the node's own");
}

TEST_CASE("node: an image that is not there is an error, and no overlay is left") {
  Fixture fixture;
  CHECK_FALSE(rig::kept_node(fixture.node, fixture.disk + ".none"));
  CHECK_FALSE(fs::exists(fixture.node + "/disk.qcow2"));
}
