// Option ROMs by hash: what firmware measures of a card's driver is what makes firmware run that driver by db.
#include "guest.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/option_roms.hpp"
#include "ingot/codec/event_data.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/variable_update.hpp"
#include "ingot/signer/sign.hpp"
#include "ingot/signer/variables.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t rom_image_at = 0x40, rom_unit = 512;

/// systemd's addon stub, which returns at once, as a driver (PE format, "Optional Header Windows-Specific Fields":
/// Subsystem 11, EFI boot service driver). Padded as in its ROM: edk2 hashes all that lies there behind the headers, so
/// the digest is not that of a file without the padding.
Buffer driver_image(const builder::Tree& base) {
  auto image = must(builder::read_tree_file(base, "/usr/lib/systemd/boot/efi/addonx64.efi.stub"));
  const std::size_t headers = image[60] | image[61] << 8u;
  image[headers + 24 + 68] = 11;
  image.resize((rom_image_at + image.size() + rom_unit - 1) / rom_unit * rom_unit - rom_image_at);
  return image;
}

/// An uncompressed option ROM with one x64 driver (UEFI 2.10, "PCI Option ROMs"; PCI Firmware 3.3, "PCI Data
/// Structure"), for the identity of QEMU's virtio network card.
Buffer option_rom(Bytes driver) {
  const auto units = static_cast<std::uint16_t>((rom_image_at + driver.size()) / rom_unit);
  Writer out;
  out.u16le(0xAA55).u16le(units).u32le(0x0EF1).u16le(11).u16le(0x8664).u16le(0).fill(8);
  out.u16le(rom_image_at).u16le(0x1C).fill(2);
  out.text("PCIR").u16le(0x1AF4).u16le(0x1000).u16le(0).u16le(0x18).u8(0).u8(0).u8(0).u8(2);
  out.u16le(units).u16le(0).u8(3).u8(0x80).u16le(0);
  return out.fill(rom_image_at - out.size()).bytes(driver).take();
}

/// Authenticode SHA-256 by efitools.
Buffer digest_by_efitools(const std::string& image, const std::string& scratch) {
  must(builder::run_checked({.argv = {"hash-to-efi-sig-list", image, scratch}}));
  const auto list = must(read_file(scratch, 1u << 16));
  return {list.end() - 32, list.end()};
}

/// How often the firmware's log has an event of this type and digest.
std::size_t count_of(const Evidence& evidence, EventType type, const Digest& sha256) {
  std::size_t count = 0;
  for (const auto& event : must(codec::decode_event_log(evidence.event_log)).events)
    count += event.type == type && event.digests.at(HashAlg::sha256) == sha256;
  return count;
}

/// systemd-boot, signed, with this driver to load and the UKI of an image to start.
std::string driver_disk(const SmallFixture& fixture, const std::string& image, const std::string& driver) {
  const auto folder = fixture.folder.path();
  const signer::KeyFolder keys{fixture.image.keys};
  const auto db = must(signer::SigningKey::load(keys.key("db"), keys.certificate("db")));
  const auto loader = must(builder::read_tree_file(fixture.base, "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"));
  must(signer::sign_pe(memory_source(loader), db, folder + "/loader.efi"));
  must(write_file(folder + "/loader.conf", as_bytes("timeout 0\n")));
  constexpr std::uint64_t size = 260u << 20;
  must(builder::make_esp({{"EFI/BOOT/BOOTX64.EFI", folder + "/loader.efi"},
                          {"EFI/Linux/image.efi", image + "/" + builder::output::uki},
                          {"EFI/systemd/drivers/cardx64.efi", driver},
                          {"loader/loader.conf", folder + "/loader.conf"}},
                         size, 0x49504F52, folder + "/driver.esp"));
  const auto disk = folder + "/driver.raw";
  must(builder::make_disk(derive_guid(Buffer(16, 1)),
                          {{codec::esp_type, derive_guid(Buffer(16, 2)), "esp", folder + "/driver.esp", size}}, 0, disk,
                          builder::silent_progress()));
  return disk;
}

}  // namespace

TEST_CASE("option ROMs: a db entry made from PCR 2 is what lets firmware run that driver") {
  const SmallFixture fixture;
  const std::string folder = fixture.folder.path(), keys = fixture.image.keys;
  const auto driver = folder + "/driver.efi", rom = folder + "/card.rom", platform_file = folder + "/platform.json";
  must(write_file(driver, driver_image(fixture.base)));
  must(write_file(rom, option_rom(driver_image(fixture.base))));
  const auto digest = digest_by_efitools(driver, folder + "/list");

  // 1. A card with that ROM: firmware measures the driver in it.
  const auto image = fixture.cast("image");
  auto request = SmallFixture::request(image);
  request.shape.nic = true;
  request.shape.option_rom = rom;
  const auto outcome = boot(request);
  REQUIRE(outcome.end == BootEnd::evidence);
  CHECK(count_of(outcome.evidence, EventType::EV_EFI_BOOT_SERVICES_DRIVER, digest) == 1);
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

  // 3. OVMF runs every ROM, db or not (its PcdOptionRomImageVerificationPolicy is 0), but no driver on a disk that db
  // does not allow. So systemd-boot, signed by db, loads the same driver from the ESP; when db's entry let firmware
  // load it, PCR 7's log says so.
  const auto built = must(signer::secure_boot_keys(signer::KeyFolder{keys}));
  measure::EnrolledVariables variables = {
      {"PK", {built.pk, built.time}}, {"KEK", {built.kek, built.time}}, {"db", {built.db, built.time}}};
  must(measure::apply_update(variables, *codec::find_key_variable("db"), codec::UpdateKind::append, update));
  auto allowing = built;
  allowing.db = variables.at("db").content;
  const auto vars = folder + "/allowing.fd";
  must(write_file(vars, must(codec::write_variables(must(read_file(fixture.image.vars_template, 16u << 20)),
                                                    codec::secure_boot_variables(allowing)))));
  const auto authority = crypto::sha256(codec::encode_measured_variable(
      {codec::efi_image_security_database_guid, "db", codec::encode_signature_data(lists[0].signatures[0])}));
  auto strict = SmallFixture::request(image);
  strict.disk = driver_disk(fixture, image, driver);
  const auto refused = boot(strict);
  if (refused.end == BootEnd::evidence)
    CHECK(count_of(refused.evidence, EventType::EV_EFI_VARIABLE_AUTHORITY, authority) == 0);
  else
    CHECK(refused.end == BootEnd::refused);
  strict.vars = vars;
  const auto allowed = boot(strict);
  REQUIRE(allowed.end == BootEnd::evidence);
  CHECK(count_of(allowed.evidence, EventType::EV_EFI_VARIABLE_AUTHORITY, authority) == 1);
  CHECK(count_of(allowed.evidence, EventType::EV_EFI_BOOT_SERVICES_DRIVER, digest) == 1);
}
