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

TEST_CASE("firmware: a measured version is found as a text of the file") {
  const auto text = [](std::string_view words) {
    auto bytes = to_utf16le(words);
    bytes.resize(bytes.size() + 2);
    return bytes;
  };
  codec::FirmwareVolume volume;
  volume.bytes = Buffer{1, 2, 3, 4};
  for (const auto* words : {"edk2-stable202502", "Release 2025.02-8"}) {
    const auto bytes = text(words);
    volume.bytes.insert(volume.bytes.end(), bytes.begin(), bytes.end());
  }
  const auto found = [&](std::string_view words) {
    return codec::find_measured_text({volume}, crypto::hash_banks(text(words)));
  };
  CHECK(found("Release 2025.02-8") == "Release 2025.02-8");
  CHECK(found("2025.02-8") == "2025.02-8");  // the tail of a longer one
  CHECK_FALSE(found("2025.02"));
  CHECK_FALSE(codec::find_measured_text({}, crypto::hash_banks(text("2025.02-8"))));
  volume.bytes.pop_back();
  CHECK_FALSE(found("Release 2025.02-8"));  // without its NUL
}

TEST_CASE("firmware: volumes inside volumes end the walk, not the stack") {
  // Each layer: a volume header, one file, one section of type "volume image".
  Buffer volume;
  const auto put = [](Buffer& out, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  };
  for (int i = 0; i < 2000; ++i) {
    Buffer layer(56 + (volume.empty() ? 0 : 28));
    layer.insert(layer.end(), volume.begin(), volume.end());
    const auto le = [](std::size_t value, int shift) { return static_cast<std::uint8_t>(value >> shift); };
    put(layer, 16, {0x78, 0xE5, 0x8C, 0x8C, 0x3D, 0x8A, 0x1C, 0x4F, 0x99, 0x35, 0x89, 0x61, 0x85, 0xC3, 0x2D, 0xD3});
    put(layer, 32, {le(layer.size(), 0), le(layer.size(), 8), le(layer.size(), 16)});
    put(layer, 40, {'_', 'F', 'V', 'H', 0, 0, 0, 0, 56, 0});
    if (!volume.empty()) {
      const std::size_t file = layer.size() - 56;
      put(layer, 56 + 20, {le(file, 0), le(file, 8), le(file, 16), 0});
      put(layer, 56 + 24, {le(file - 24, 0), le(file - 24, 8), le(file - 24, 16), 0x17});
    }
    volume = std::move(layer);
    const auto found = codec::decode_firmware(volume);
    if (i < 3) {
      REQUIRE(found);
      CHECK(found->size() == static_cast<std::size_t>(i) + 1);
    }
    if (i == 20 || i == 1999) {
      REQUIRE_FALSE(found);
      CHECK(found.error().code == ErrorCode::limit);
    }
  }
}
