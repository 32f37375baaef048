// Option ROMs by hash: what firmware measures of a card's driver is what makes firmware run that driver by db.
#include "guest.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/option_roms.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/sign.hpp"
#include "ingot/signer/variables.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
namespace fs = std::filesystem;

namespace {

constexpr const char* hello = "/usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi";
constexpr codec::EfiTime later{2026, 5, 1, 12, 0, 0};

/// efitools' example program as a driver, which a ROM holds (PE format, "Optional Header Windows-Specific Fields":
/// Subsystem 11, EFI boot service driver).
Buffer hello_driver() {
  auto image = must(read_file(hello, 1u << 20));
  const std::size_t headers = image[60] | image[61] << 8u;
  image[headers + 24 + 68] = 11;
  return image;
}

/// An uncompressed option ROM with one x64 driver (UEFI 2.10, "PCI Option ROMs"; PCI Firmware 3.3, "PCI Data
/// Structure"), for the identity of QEMU's virtio network card.
Buffer option_rom(Bytes driver) {
  constexpr std::size_t image_at = 0x40, unit = 512;
  const auto units = static_cast<std::uint16_t>((image_at + driver.size() + unit - 1) / unit);
  Writer out;
  out.u16le(0xAA55).u16le(units).u32le(0x0EF1).u16le(11).u16le(0x8664).u16le(0).fill(8);
  out.u16le(image_at).u16le(0x1C).fill(2);
  out.text("PCIR").u16le(0x1AF4).u16le(0x1000).u16le(0).u16le(0x18).u8(0).u8(0).u8(0).u8(2);
  out.u16le(units).u16le(0).u8(3).u8(0x80).u16le(0);
  return out.fill(image_at - out.size()).bytes(driver).fill(units * unit - image_at - driver.size()).take();
}

/// Authenticode SHA-256 by efitools.
Buffer digest_by_efitools(const std::string& image, const std::string& scratch) {
  must(builder::run_checked({.argv = {"hash-to-efi-sig-list", image, scratch}}));
  const auto list = must(read_file(scratch, 1u << 16));
  return {list.end() - 32, list.end()};
}

std::vector<std::string> images_of(const Evidence& evidence, PcrIndex pcr) {
  std::vector<std::string> out;
  for (const auto& event : must(codec::decode_event_log(evidence.event_log)).events)
    if (event.pcr == pcr && event.type != EventType::EV_SEPARATOR)
      out.push_back(to_hex(event.digests.at(HashAlg::sha256)) + " " + codec::describe_event(event).component);
  return out;
}

}  // namespace

TEST_CASE("option ROMs: a db entry made from PCR 2 is what lets firmware run that driver, and no other") {
  const SmallFixture fixture;
  const std::string folder = fixture.folder.path(), keys = fixture.image.keys;
  const auto driver = folder + "/driver.efi", rom = folder + "/card.rom", platform_file = folder + "/platform.json";
  must(write_file(driver, hello_driver()));
  must(write_file(rom, option_rom(hello_driver())));
  const auto digest = digest_by_efitools(driver, folder + "/list");

  // 1. A card with that ROM: firmware measures the driver in it.
  const auto image = fixture.cast("image");
  auto request = SmallFixture::request(image);
  request.shape.nic = true;
  request.shape.option_rom = rom;
  request.serial_log = folder + "/card.serial";
  const auto outcome = boot(request);
  REQUIRE(outcome.end == BootEnd::evidence);
  for (const PcrIndex pcr : {2u, 7u})
    for (const auto& line : images_of(outcome.evidence, pcr)) std::cerr << "pcr " << pcr << " " << line << "\n";
  must(write_file(folder + "/evidence.json", as_bytes(codec::encode_evidence(outcome.evidence))));
  const std::string ingot = std::string(INGOT_BUILD) + "/ingot";
  must(builder::run_checked(
      {.argv = {ingot, "platform", "learn", folder + "/evidence.json", "--keys", keys, "--out", platform_file}}));

  // 2. db entries from the learned platform: that driver's digest, as efitools calculates it from the file.
  const auto update_file = folder + "/db.auth";
  must(builder::run_checked(
      {.argv = {ingot, "sign", "update", "db", "--option-roms", platform_file, "--platform-key", keys + "/baseline.pub",
                "--append", "--keys", keys, "--time", "2026-05-01 12:00:00", "--out", update_file}}));
  const auto update = must(codec::decode_authenticated_update(must(read_file(update_file, 1u << 20))));
  const auto lists = must(codec::decode_signature_lists(update.content));
  REQUIRE(lists.size() == 1);
  REQUIRE(lists[0].signatures.size() == 1);
  CHECK(lists[0].signatures[0].data == digest);

  // 3. The driver where firmware is strict, on a disk: refused, and started once db has the entry.
  const auto built = must(signer::secure_boot_keys(signer::KeyFolder{keys}));
  measure::EnrolledVariables variables = {
      {"PK", {built.pk, built.time}}, {"KEK", {built.kek, built.time}}, {"db", {built.db, built.time}}};
  must(measure::apply_update(variables, *codec::find_key_variable("db"), codec::UpdateKind::append, update));
  auto allowing = built;
  allowing.db = variables.at("db").content;
  const auto vars = folder + "/allowing.fd";
  must(write_file(vars, must(codec::write_variables(must(read_file(fixture.image.vars_template, 16u << 20)),
                                                    codec::secure_boot_variables(allowing)))));
  auto strict = SmallFixture::request(image);
  strict.disk = folder + "/driver.raw";
  must(rig::make_probe_disk(driver, strict.disk));
  strict.serial_log = folder + "/strict.serial";
  const auto console = [&] { return std::string(as_text(must(read_file(strict.serial_log, 16u << 20)))); };
  CHECK(boot(strict).end == BootEnd::refused);
  CHECK_THAT(console(), !Catch::Contains("HelloWorld"));
  strict.vars = vars;
  CHECK(boot(strict).end == BootEnd::no_boot);
  CHECK_THAT(console(), Catch::Contains("HelloWorld"));
  // Another driver, one byte away, stays refused.
  auto other = hello_driver();
  other[other.size() / 2] ^= 1;
  must(write_file(driver, other));
  must(rig::make_probe_disk(driver, strict.disk));
  CHECK(boot(strict).end == BootEnd::refused);
}
