#include "ingot/codec/sbat.hpp"

#include <catch2/catch.hpp>

using namespace ingot;
using namespace ingot::codec;

TEST_CASE("sbat: components and generations of a stub of Debian's, with our line behind") {
  // systemd 257's linuxx64.efi.stub, Debian 13, as `objcopy -O binary --only-section=.sbat` has it.
  const std::string text =
      "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
      "systemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/\n"
      "systemd-stub.debian,1,Debian,systemd,257.9-1~deb13u1,https://bugs.debian.org/\n"
      "ingot.training,3,Ingot,training,42,https://uapi-group.org/\n";
  const std::vector<SbatEntry> expected = {
      {"sbat", 1}, {"systemd-stub", 1}, {"systemd-stub.debian", 1}, {"ingot.training", 3}};
  CHECK(decode_sbat(text) == expected);
  CHECK(decode_sbat(text + std::string("\0\0more", 6)) == expected);
  CHECK(decode_sbat("sbat,1\r\n\r\nshim,4") == std::vector<SbatEntry>{{"sbat", 1}, {"shim", 4}});
  CHECK(decode_sbat("")->empty());
}

TEST_CASE("sbat: lines that say no generation are errors") {
  for (const char* bad : {"shim,1\n", "sbat\n", "sbat,\n", "sbat,0\n", "sbat,-1\n", "sbat,1x\n", "sbat,1\n,2\n",
                          "sbat,1\nshim,4294967296\n", "sbat,1\nshim,1\nshim,2\n"}) {
    INFO(bad);
    const auto entries = decode_sbat(bad);
    REQUIRE_FALSE(entries);
    CHECK(entries.error().code == ErrorCode::malformed);
  }
  std::string many = "sbat,1\n";
  for (std::size_t i = 1; i <= sbat_line_cap; ++i) many += "c" + std::to_string(i) + ",1\n";
  CHECK(decode_sbat(many).error().code == ErrorCode::limit);
}
