// The swap of an image as Debian 13's systemd takes it. That a node swaps to it is tried by tests/rig/drift.
#include <catch2/catch.hpp>

#include "ingot/crypto/random.hpp"
#include "oracle_tree.hpp"
#include "tool.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

std::string text_of(const std::string& path) {
  INFO(path);
  return std::string(as_text(read_file(path, 1u << 16).value()));
}

}  // namespace

TEST_CASE("swap: systemd opens it under a key of this boot, and formats the noise on it") {
  if (skipped(oracles + "/usr/lib/systemd/system-generators/systemd-cryptsetup-generator", "no systemd 257")) return;
  const auto folder = scratch();
  const auto files = folder.path() + "/files", out = folder.path() + "/out";
  fs::create_directories(files + "/etc");
  fs::create_directories(out);
  Profile profile;
  profile.disk.swap_size_bytes = 1u << 30;
  const auto part = builder::render_swap(profile);
  write_part(files, part);
  REQUIRE(write_file(out + "/swap", crypto::random_bytes(1u << 20), 0600));
  output_of({std::string(INGOT_SOURCE) + "/tests/tool/stock-swap", oracles, files, out});

  const auto unit = "\n" + text_of(out + "/systemd-cryptsetup@swap.service");
  for (const std::string line :
       {"ExecStart=/usr/bin/systemd-cryptsetup attach 'swap' '/dev/disk/by-partlabel/swap' '/dev/urandom' "
        "'plain,swap,cipher=aes-xts-plain64,size=512,sector-size=4096'",
        "ExecStartPost=/usr/lib/systemd/systemd-makefs swap '/dev/mapper/swap'",
        "After=systemd-random-seed.service",  // /dev/urandom has something to give
        "Before=cryptsetup.target"}) {        // of sysinit.target: long before no module loads any more
    INFO(line);
    CHECK(unit.find("\n" + line + "\n") != std::string::npos);
  }
  CHECK(output_of({"blkid", "-p", "-o", "value", "-s", "TYPE", out + "/swap"}) == "swap\n");
}
