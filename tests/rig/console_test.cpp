// What serial consoles tell. The lines are copied from real boots of the rig, or from the sources named in
// qemu/console.cpp.
#include "../../qemu/console.hpp"

#include <catch2/catch.hpp>

using namespace ingot;
using rig::BootEnd;

namespace {

struct Row {
  const char* name;
  std::string console;
  std::optional<BootEnd> end;
  std::string line = {};
};

const std::string refusal =
    "BdsDxe: failed to load Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0): Access Denied";
const std::string not_found =
    "BdsDxe: failed to load Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0): Not Found";
const std::string shell_refused =
    "BdsDxe: failed to start Boot0002 \"EFI Internal Shell\" from Fv(7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1)/"
    "FvFile(7C04A583-9E3E-4F1C-AD65-E05268D0B4D1): Security Violation";
const std::string kernel_start = "[    0.000000] Linux version 6.12.117+deb13-cloud-amd64\r\n";
const std::string corruption = "[    9.120000] device-mapper: verity: 254:2: data block 0 is corrupted";

}  // namespace

TEST_CASE("console: each way in which a boot ends is told by its line") {
  const Row row = GENERATE(values<Row>({
      {"nothing yet", "", std::nullopt},
      {"an ordinary start", "BdsDxe: loading Boot0001\r\nBdsDxe: starting Boot0001\r\n" + kernel_start, std::nullopt},
      {"firmware refuses", "BdsDxe: loading Boot0001\r\n" + refusal + "\r\n", BootEnd::refused, refusal},
      {"a refusal counts although firmware tries the next entry", refusal + "\r\n>>Start PXE over IPv4.\r\n",
       BootEnd::refused, refusal},
      {"newer edk2 words", "Boot0001: Security Violation\r\n", BootEnd::refused, "Boot0001: Security Violation"},
      {"a line that may still become a refusal", "BdsDxe: failed to load Boot0001 \"UEFI Misc", std::nullopt},
      {"not found", "BdsDxe: failed to load Boot0001 from Pci(0x3,0x0): Not Found\r\n", BootEnd::no_boot,
       "BdsDxe: failed to load Boot0001 from Pci(0x3,0x0): Not Found"},
      {"nothing to start, and then no shell either", not_found + "\r\n" + shell_refused + "\r\n", BootEnd::no_boot,
       not_found},
      {"a refusal, and then no shell either", refusal + "\r\n" + shell_refused + "\r\n", BootEnd::refused, refusal},
      {"no shell, alone", shell_refused + "\r\n", std::nullopt},
      {"network boot starts, its line has no end", "\r\n>>Start PXE over IPv4.", BootEnd::no_boot,
       ">>Start PXE over IPv4."},
      {"the system's own words are not the firmware's", kernel_start + "sshd: Access Denied\r\n", std::nullopt},
      {"root image corrupted", kernel_start + corruption + "\r\n", BootEnd::panicked, corruption},
      {"verity tells something harmless", kernel_start + "device-mapper: verity: sha256 using \"sha256-ni\"\r\n",
       std::nullopt},
      {"journald's corrupted file is no corrupted root",
       kernel_start + "system.journal is corrupted or uncleanly shut down\r\n", std::nullopt},
      {"corruption names the cause, emergency is the consequence",
       kernel_start + corruption + "\r\nYou are in emergency mode.\r\n", BootEnd::panicked, corruption},
      {"panic", kernel_start + "Kernel panic - not syncing: VFS\r\n", BootEnd::panicked,
       "Kernel panic - not syncing: VFS"},
      {"emergency in colours", kernel_start + "\x1b[0;1;31mYou are in emergency mode\x1b[0m.\r\n", BootEnd::panicked,
       "You are in emergency mode."},
  }));
  INFO(row.name);
  const auto told = rig::read_console(row.console);
  REQUIRE(told.has_value() == row.end.has_value());
  if (!told) return;
  CHECK(told->end == *row.end);
  CHECK(told->line == row.line);
}

TEST_CASE("console: the tail has the last lines that say something, without control characters") {
  CHECK(rig::console_tail("one\r\n\r\n  \r\ntwo\x1b[2J\x07\r\nthree", 2) == "two\nthree\n");
  CHECK(rig::console_tail("", 5).empty());
}

TEST_CASE("console: the kernel's start is between its first line and /init") {
  CHECK_FALSE(rig::in_kernel_start("BdsDxe: starting Boot0001\r\n"));
  CHECK(rig::in_kernel_start(kernel_start + "[    1.422927] pci_bus 0000:00: resource 6\r\n"));
  CHECK_FALSE(rig::in_kernel_start(kernel_start + "[    2.418162] Run /init as init process\r\n"));
}
