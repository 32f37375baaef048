#include "machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace ingot::rig {
namespace {

/// Commas separate options in QEMU's syntax; a doubled one is a comma.
std::string option_text(std::string text) {
  for (std::size_t at = 0; (at = text.find(',', at)) != std::string::npos; at += 2) text.insert(at, 1, ',');
  return text;
}

constexpr const char* boot_server = "10.0.2.100";
constexpr std::size_t first_tap_slot = 8;
constexpr std::size_t usb_slot = 0x17;
constexpr std::size_t first_medium_slot = 0x18;

std::string tap_mac(const std::string& tap, std::size_t index) {
  unsigned sum = 0;
  for (const char c : tap.substr(0, tap.find('.'))) sum = sum * 31 + static_cast<unsigned char>(c);
  return fmt::format("52:54:00:69:{:02x}:{:02x}", sum & 0xff, index + 1);
}

/// Behind everything else in the firmware's boot order: no bootindex.
void add_media(std::vector<std::string>& argv, const std::vector<Medium>& media) {
  const auto add = [&](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
  if (std::any_of(media.begin(), media.end(), [](const Medium& one) { return one.drive == Medium::Drive::usb; }))
    add({"-device", fmt::format("qemu-xhci,id=usb,addr=0x{:x}", usb_slot)});
  for (std::size_t i = 0; i < media.size(); ++i) {
    add({"-drive", fmt::format("if=none,id=medium{},format=raw,readonly=on,file={}", i, option_text(media[i].file))});
    switch (media[i].drive) {
      case Medium::Drive::disk:
        add({"-device", fmt::format("virtio-blk-pci,drive=medium{},addr=0x{:x}", i, first_medium_slot + i)});
        break;
      case Medium::Drive::cd:
        add({"-device", fmt::format("ide-cd,drive=medium{0},bus=ide.{0}", i)});
        break;
      case Medium::Drive::usb:
        add({"-device", fmt::format("usb-storage,drive=medium{},bus=usb.0,removable=on", i)});
        break;
    }
  }
}

constexpr std::pair<std::string_view, Medium::Drive> drive_names[] = {
    {"disk", Medium::Drive::disk}, {"cd", Medium::Drive::cd}, {"usb", Medium::Drive::usb}};

}  // namespace

Result<Medium> parse_medium(std::string_view text) {
  const auto colon = text.find(':');
  for (const auto& [name, drive] : drive_names) {
    if (colon == std::string_view::npos || name != text.substr(0, colon)) continue;
    Medium medium{drive, std::string(text.substr(colon + 1))};
    std::error_code ec;
    if (!std::filesystem::is_regular_file(medium.file, ec))
      return fail(ErrorCode::missing, fmt::format("no file {}", medium.file),
                  "give a medium's content as one raw file");
    return medium;
  }
  return fail(ErrorCode::usage, fmt::format("\"{}\" is no medium", text), "give disk:FILE, cd:FILE or usb:FILE");
}

/// One thread for all virtual CPUs: with more, one runs into code that Linux is patching on another (see boot.cpp).
/// TCG works everywhere; /dev/kvm may open and then kill guests, so KVM is the user's word.
std::vector<std::string> accelerator() {
  const char* wanted = std::getenv("INGOT_RIG_ACCEL");
  if (wanted != nullptr && std::string_view(wanted) == "kvm") return {"-accel", "kvm", "-cpu", "host"};
  return {"-accel", "tcg,thread=single", "-cpu", "max"};
}

std::vector<std::string> machine_command(const MachineShape& shape, const std::vector<std::string>& smbios_credentials,
                                         const MachineFiles& files) {
  std::vector<std::string> argv = {"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M",
                                   files.flash.smm ? "q35,smm=on" : "q35,smm=off"};
  const auto add = [&](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
  const auto accel = accelerator();
  argv.insert(argv.end(), accel.begin(), accel.end());
  add({"-smp", fmt::format("{}", shape.cpus), "-m", fmt::format("{}M", shape.memory_mib)});
  // A node is never suspended; and the 2 MiB builds with SMM hang before their first word when the machine offers S3.
  add({"-global", "driver=ICH9-LPC,property=disable_s3,value=1"});
  if (files.flash.smm) add({"-global", "driver=cfi.pflash01,property=secure,value=on"});
  add({"-drive", fmt::format("if=pflash,format=raw,unit=0,readonly=on,file={}", option_text(files.flash.code))});
  add({"-drive", fmt::format("if=pflash,format=raw,unit=1,file={}", option_text(files.flash.vars))});
  if (files.http_port == 0) {
    add({"-drive", fmt::format("if=none,id=disk0,format={},file={}{}", files.disk_is_overlay ? "qcow2" : "raw",
                               option_text(files.disk), files.disk_is_overlay ? "" : ",snapshot=on")});
    add({"-device", "virtio-blk-pci,drive=disk0,bootindex=1,addr=0x3"});
  } else {
    // QEMU's own network: DHCP names the address, which is the guest's way to the host's loopback. The address is in
    // Boot#### and PCR 1, so it stays the same from boot to boot: the port that changes is behind a forwarding.
    add({"-netdev",
         fmt::format("user,id=net0,restrict=on,bootfile=http://{0}/uki.efi,guestfwd=tcp:{0}:80-tcp:127.0.0.1:{1}",
                     boot_server, files.http_port)});
    add({"-device", "virtio-net-pci,netdev=net0,mac=52:54:00:69:6e:67,bootindex=1,addr=0x6"});
  }
  add({"-chardev", fmt::format("socket,id=tpm,path={}", option_text(files.tpm_socket)), "-tpmdev",
       "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"});
  add({"-device", "virtio-serial-pci,addr=0x4"});
  add({"-chardev", fmt::format("socket,id=evidence,path={},server=on,wait=off", option_text(files.evidence_socket))});
  add({"-device", "virtserialport,chardev=evidence,name=org.ingot.evidence"});
  add({"-device", "virtio-rng-pci,addr=0x5"});
  // A card with its option ROM and nothing on the other end of its cable.
  if (shape.nic && files.http_port == 0)
    add({"-netdev", "hubport,id=net0,hubid=0", "-device",
         "virtio-net-pci,netdev=net0,mac=52:54:00:69:6e:67,addr=0x6" +
             (shape.option_rom.empty() ? "" : ",romfile=" + option_text(shape.option_rom))});
  // A card's address tells the guest which it is: the last byte counts from 1 in the order given, the fifth is of the
  // machine, taken from the tap's name so that machines of one network differ.
  for (std::size_t i = 0; i < shape.taps.size(); ++i) {
    add({"-netdev", fmt::format("tap,id=tap{},ifname={},script=no,downscript=no", i, option_text(shape.taps[i]))});
    add({"-device", fmt::format("virtio-net-pci,netdev=tap{},mac={},romfile=,addr=0x{:x}", i, tap_mac(shape.taps[i], i),
                                first_tap_slot + i)});
  }
  if (!files.second_disk.empty())
    add({"-drive", fmt::format("if=none,id=disk1,format=raw,file={}", option_text(files.second_disk)), "-device",
         "virtio-blk-pci,drive=disk1,addr=0x7"});
  add_media(argv, shape.media);
  for (const auto& credential : smbios_credentials) add({"-smbios", "type=11,value=" + option_text(credential)});
  add({"-chardev", fmt::format("file,id=console,path={}", option_text(files.serial)), "-serial", "chardev:console"});
  add({"-display", "none", "-vga", "none", "-monitor", "none", "-no-reboot"});
  return argv;
}

}  // namespace ingot::rig
