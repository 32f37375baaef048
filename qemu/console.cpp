#include "console.hpp"

#include <array>
#include <vector>

namespace ingot::rig {
namespace {

struct Sign {
  std::string_view text;
  BootEnd end;
};
// Most telling first. Firmware goes on to the next boot entry after a refusal, so a refusal counts even when more follows.
constexpr std::array<Sign, 14> signs = {{
    {"Access Denied", BootEnd::refused},
    {"Security Violation", BootEnd::refused},
    {"Verification failed", BootEnd::refused},
    {"is corrupted", BootEnd::panicked},  // device-mapper: verity: 254:2: data block 0 is corrupted
    {"Kernel panic", BootEnd::panicked},
    {"You are in emergency mode", BootEnd::panicked},
    {"Cannot open access to console, the root account is locked", BootEnd::panicked},
    {"Failed to start initrd-switch-root", BootEnd::panicked},
    {"ingot: this system does not come up", BootEnd::panicked},
    {"Freezing execution", BootEnd::panicked},
    {"No bootable option or device was found", BootEnd::no_boot},
    {"failed to load Boot", BootEnd::no_boot},
    {"UEFI Interactive Shell", BootEnd::no_boot},
    {">>Start PXE over", BootEnd::no_boot},
}};

/// Lines without escape sequences (ECMA-48, "CSI") and other control characters.
std::vector<std::string> clean_lines(std::string_view text) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      lines.emplace_back();
    } else if (c == '\033' && at + 1 < text.size() && text[at + 1] == '[') {
      at += 2;
      while (at < text.size() && (text[at] < '@' || text[at] > '~')) ++at;
    } else if (c >= ' ' || c == '\t') {
      lines.back().push_back(c);
    }
  }
  return lines;
}

}  // namespace

std::string to_text(BootEnd end) {
  switch (end) {
    case BootEnd::evidence: return "evidence";
    case BootEnd::refused: return "refused by firmware";
    case BootEnd::no_boot: return "nothing to boot";
    case BootEnd::panicked: return "gave up";
    case BootEnd::timed_out: return "timed out";
  }
  return {};
}

std::optional<ConsoleVerdict> read_console(std::string_view text) {
  for (const auto& sign : signs) {
    if (text.find(sign.text) == std::string_view::npos) continue;
    for (const auto& line : clean_lines(text))
      if (line.find(sign.text) != std::string::npos) return ConsoleVerdict{sign.end, line};
    return ConsoleVerdict{sign.end, std::string(sign.text)};
  }
  return std::nullopt;
}

std::string console_tail(std::string_view text, std::size_t count) {
  auto lines = clean_lines(text);
  std::erase_if(lines, [](const std::string& line) { return line.find_first_not_of(" \t") == std::string::npos; });
  std::string out;
  for (std::size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i) out += lines[i] + "\n";
  return out;
}

}  // namespace ingot::rig
