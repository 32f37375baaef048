#include "console.hpp"

#include <array>
#include <vector>

namespace ingot::rig {
namespace {

enum class Stage { firmware, system };
enum class Line { any, ended };
struct Sign {
  Stage stage;
  std::string_view text;
  BootEnd end;
  /// `ended`: the line's end decides what it means, so one that is still being written does not count.
  Line line = Line::any;
};
// Most telling first. Firmware goes on to the next boot entry after a refusal, so a refusal counts even when more
// follows. edk2 MdeModulePkg/Library/UefiBootManagerLib and PlatformBootManagerLib; Linux
// drivers/md/dm-verity-target.c, kernel/panic.c; systemd src/core; util-linux sulogin.
constexpr std::array<Sign, 17> signs = {{
    {Stage::firmware, "Access Denied", BootEnd::refused},
    {Stage::firmware, "Security Violation", BootEnd::refused},
    {Stage::firmware, "Verification failed", BootEnd::refused},
    {Stage::firmware, "No bootable option or device was found", BootEnd::no_boot},
    {Stage::firmware, "failed to load Boot", BootEnd::no_boot, Line::ended},
    {Stage::firmware, "failed to start Boot", BootEnd::no_boot, Line::ended},
    {Stage::firmware, "UEFI Interactive Shell", BootEnd::no_boot},
    {Stage::firmware, ">>Start PXE over", BootEnd::no_boot},
    {Stage::firmware, ">>Start HTTP Boot over", BootEnd::no_boot},
    {Stage::system, "device-mapper: verity: ", BootEnd::panicked, Line::ended},
    {Stage::system, "Kernel panic", BootEnd::panicked, Line::ended},
    {Stage::system, "Freezing execution", BootEnd::panicked},
    {Stage::system, "You are in emergency mode", BootEnd::panicked},
    {Stage::system, "Cannot open access to console, the root account is locked", BootEnd::panicked},
    {Stage::system, "Failed to start initrd-switch-root", BootEnd::panicked},
    {Stage::system, "ingot: this system does not come up", BootEnd::panicked},
    {Stage::system, "ingot: the initrd could not bring up", BootEnd::panicked},
}};
// What else the verity driver says is no reason to stop.
constexpr std::string_view verity_prefix = "device-mapper: verity: ";
constexpr std::string_view verity_ending = "is corrupted";

struct ConsoleLine {
  std::string text;
  bool ended = false;
};

/// Lines without escape sequences (ECMA-48, "CSI") and other control characters.
std::vector<ConsoleLine> clean_lines(std::string_view text) {
  std::vector<ConsoleLine> lines(1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      lines.back().ended = true;
      lines.emplace_back();
    } else if (c == '\033' && at + 1 < text.size() && text[at + 1] == '[') {
      at += 2;
      while (at < text.size() && (text[at] < '@' || text[at] > '~')) ++at;
    } else if ((c >= ' ' && c != '\x7F') || c == '\t') {
      lines.back().text.push_back(c);
    }
  }
  return lines;
}

/// edk2, BdsDxe: what became of an application in a volume of the firmware's own, such as its shell. It is tried when
/// nothing else starts, and says nothing about the image.
bool is_about_own_application(std::string_view line) {
  return line.starts_with("BdsDxe: failed to ") && line.find("\" from Fv(") != std::string_view::npos;
}

bool matches(const Sign& sign, Stage stage, const ConsoleLine& line) {
  if (stage == Stage::firmware && is_about_own_application(line.text)) return false;
  if (sign.stage != stage || line.text.find(sign.text) == std::string::npos) return false;
  if (sign.line == Line::ended && !line.ended) return false;
  return sign.text != verity_prefix || line.text.find(verity_ending) != std::string::npos;
}

}  // namespace

std::string to_text(BootEnd end) {
  switch (end) {
    case BootEnd::evidence:
      return "evidence";
    case BootEnd::refused:
      return "refused by firmware";
    case BootEnd::no_boot:
      return "nothing to boot";
    case BootEnd::panicked:
      return "gave up";
    case BootEnd::timed_out:
      return "timed out";
  }
  return {};
}

std::optional<ConsoleVerdict> read_console(std::string_view text) {
  std::optional<ConsoleVerdict> told;
  std::size_t rank = signs.size();
  Stage stage = Stage::firmware;
  for (const auto& line : clean_lines(text)) {
    // Programs may say "Access Denied" too; only before the kernel's first line are these words the firmware's.
    if (line.text.find("Linux version ") != std::string::npos) stage = Stage::system;
    for (std::size_t i = 0; i < rank; ++i) {
      if (!matches(signs[i], stage, line)) continue;
      told = ConsoleVerdict{signs[i].end, line.text};
      rank = i;
    }
  }
  return told;
}

bool in_kernel_start(std::string_view text) {
  return text.find("] Linux version ") != std::string_view::npos &&
         text.find("Run /init as init process") == std::string_view::npos;
}

std::string console_tail(std::string_view text, std::size_t count) {
  auto lines = clean_lines(text);
  std::erase_if(lines, [](const ConsoleLine& line) { return line.text.find_first_not_of(" \t") == std::string::npos; });
  std::string out;
  for (std::size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i)
    out += lines[i].text + "\n";
  return out;
}

}  // namespace ingot::rig
