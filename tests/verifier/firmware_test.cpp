#include "ingot/codec/firmware.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;

namespace {

// The digest is what a machine with this firmware logs as its second EV_EFI_PLATFORM_FIRMWARE_BLOB; the rig test holds
// a real log against find_dxe_volume(). Here: the four layouts that Debian ships, and damage.
struct Row {
  const char* path;
  bool smm;
};
const Row rows[] = {{"/usr/share/OVMF/OVMF_CODE.fd", false},
                    {"/usr/share/OVMF/OVMF_CODE.secboot.fd", true},
                    {"/usr/share/OVMF/OVMF_CODE_4M.fd", false},
                    {"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", true}};

}  // namespace

TEST_CASE("firmware: each of Debian's builds has a DXE volume, and SMM only where its descriptor says so") {
  for (const auto& row : rows) {
    INFO(row.path);
    const auto volumes = codec::decode_firmware(read_file(row.path, codec::firmware_size_cap_bytes).value());
    REQUIRE(volumes);
    const auto* dxe = codec::find_dxe_volume(*volumes);
    REQUIRE(dxe != nullptr);
    CHECK(dxe->compressed);
    CHECK(dxe->bytes.size() == 12582912);
    CHECK(codec::requires_smm(*volumes) == row.smm);
  }
}

TEST_CASE("firmware: damage in the compressed section is an error, never another digest") {
  auto flash = read_file(rows[3].path, codec::firmware_size_cap_bytes).value();
  flash[flash.size() / 3] ^= 0xFF;
  const auto volumes = codec::decode_firmware(flash);
  if (volumes) {
    const auto whole = codec::decode_firmware(read_file(rows[3].path, codec::firmware_size_cap_bytes).value());
    CHECK(codec::find_dxe_volume(*volumes)->bytes != codec::find_dxe_volume(*whole)->bytes);
  } else {
    CHECK(volumes.error().code == ErrorCode::malformed);
  }
}

TEST_CASE("firmware: no volume, and every coarse truncation, is malformed or has no DXE volume") {
  CHECK(codec::decode_firmware(Buffer(4096, 0xFF)).error().code == ErrorCode::malformed);
  const auto flash = read_file(rows[3].path, codec::firmware_size_cap_bytes).value();
  for (std::size_t size = 0; size < flash.size() / 2; size += 100003) {
    const auto volumes = codec::decode_firmware(Bytes(flash).first(size));
    if (volumes) CHECK(codec::find_dxe_volume(*volumes) == nullptr);
  }
}
