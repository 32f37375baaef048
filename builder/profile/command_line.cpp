#include "command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ingot/builder/settings.hpp"

namespace ingot::builder::detail {
namespace {

struct Refusal {
  std::string_view key;  ///< a trailing '*' stands for any ending
  std::string_view why;
};

constexpr Refusal owned[] = {
    {"roothash", "the builder appends it"},
    {"usrhash", "the image has no separate /usr"},
    {"root", "the root file system is the one that roothash= names"},
    {"rootfstype", "the builder knows the root file system"},
    {"rootflags", "the builder knows the root file system"},
    {"rw", "the root file system is read-only"},
    {"initrd", "the initrd is inside the unified kernel image"},
    {"mount.usr*", "the image has no separate /usr"},
    {"systemd.verity*", "verity is set up from roothash="},
    {"rd.systemd.verity*", "verity is set up from roothash="},
    {"veritytab", "verity is set up from roothash="},
};

// kernel.org "The kernel's command-line parameters"; systemd kernel-command-line(7), systemd(1),
// systemd-debug-generator(8).
constexpr Refusal shells[] = {
    {"init", "it starts another program than systemd"},
    {"rdinit", "it starts another program than systemd"},
    {"single", "it starts the rescue shell"},
    {"s", "it starts the rescue shell"},
    {"S", "it starts the rescue shell"},
    {"1", "it starts the rescue shell"},
    {"rescue", "it starts the rescue shell"},
    {"emergency", "it starts the emergency shell"},
    {"_b", "it starts the emergency shell"},
    {"break", "it starts a shell in the initrd"},
    {"rd.break", "it starts a shell in the initrd"},
    {"rd.shell", "it starts a shell in the initrd"},
    {"rd.rescue", "it starts the rescue shell"},
    {"rd.emergency", "it starts the emergency shell"},
    {"systemd.debug_shell", "it opens a root shell on a terminal"},
    {"rd.systemd.debug_shell", "it opens a root shell on a terminal"},
    {"systemd.default_debug_tty", "it names the terminal of a root shell"},
    {"rd.systemd.default_debug_tty", "it names the terminal of a root shell"},
    {"systemd.crash_shell", "it opens a root shell after a crash"},
    {"systemd.unit", "it may start the rescue shell"},
    {"rd.systemd.unit", "it may start the rescue shell"},
    {"systemd.run", "it runs a command as root"},
    {"systemd.run_success_action", "it belongs to systemd.run"},
    {"systemd.run_failure_action", "it belongs to systemd.run"},
    {"systemd.setenv", "it can let sulogin in without a password"},
    {"rd.systemd.setenv", "it can let sulogin in without a password"},
    {"systemd.set_credential*", "credentials can carry keys and passwords"},
    {"SYSTEMD_SULOGIN_FORCE", "it lets sulogin in without a password"},
};

/// Kernel parameters that add up when they are given more than once.
constexpr std::string_view repeatable[] = {"console",
                                           "earlycon",
                                           "module_blacklist",
                                           "blacklist",
                                           "rd.blacklist",
                                           "systemd.mask",
                                           "rd.systemd.mask",
                                           "systemd.wants",
                                           "rd.systemd.wants",
                                           "modules_load",
                                           "rd.modules_load",
                                           "memmap",
                                           "pci",
                                           "dyndbg",
                                           "ima_policy",
                                           "systemd.tty.*"};

bool key_matches(std::string_view pattern, std::string_view key) {
  if (pattern.ends_with('*')) return key.starts_with(pattern.substr(0, pattern.size() - 1));
  return key == pattern;
}

template <std::size_t N>
const Refusal* find(const Refusal (&table)[N], std::string_view key) {
  const auto* found =
      std::find_if(std::begin(table), std::end(table), [&](const Refusal& row) { return key_matches(row.key, key); });
  return found == std::end(table) ? nullptr : found;
}

bool is_repeatable(std::string_view key) {
  return std::any_of(std::begin(repeatable), std::end(repeatable),
                     [&](std::string_view name) { return key_matches(name, key); });
}

Result<void> check_text(const Located<std::string>& parameter) {
  const auto& text = parameter.value;
  if (text.empty()) return wrong(parameter.at, "an empty kernel parameter");
  bool quoted = false;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e)
      return wrong(parameter.at, fmt::format("byte 0x{:02x} in a kernel parameter, expected printable ASCII",
                                             static_cast<unsigned char>(c)));
    if (c == '"') quoted = !quoted;
    if (c == ' ' && !quoted)
      return wrong(parameter.at, fmt::format("\"{}\" has a blank outside of quotes", text),
                   "write one parameter per array element");
  }
  if (quoted) return wrong(parameter.at, fmt::format("\"{}\" has a quote that is not closed", text));
  if (text == "--") return wrong(parameter.at, "\"--\" would hide what follows from the kernel");
  return {};
}

/// A row of the settings table changes in [hardening.relax] alone, where it needs a reason.
Result<void> check_not_a_row(const Located<std::string>& parameter) {
  const auto key = parameter_key(parameter.value.substr(parameter.value.starts_with('!') ? 1 : 0));
  for (const auto& row : setting_rows())
    if (row.area == SettingArea::kernel_parameter && parameter_key(row.name) == key)
      return wrong(parameter.at, fmt::format("the kernel parameter \"{}\" is a row of the settings table", key),
                   fmt::format("relax it, with a reason, as \"{}\" in [hardening.relax]", row_name(row)));
  return {};
}

Result<void> remove_parameter(std::vector<std::string>& line, const Located<std::string>& wanted) {
  const auto text = wanted.value.substr(1);
  const auto is_meant = [&](const std::string& parameter) {
    return parameter == text ||
           (text.find('=') == std::string::npos && parameter_key(parameter) == parameter_key(text));
  };
  if (std::erase_if(line, is_meant) > 0) return {};
  std::vector<std::string_view> known(line.begin(), line.end());
  const auto close = nearest(text, known);
  return wrong(wanted.at, fmt::format("\"{}\" takes away a parameter that is not inherited", wanted.value),
               close.empty() ? "" : fmt::format("did you mean \"!{}\"?", close));
}

}  // namespace

const std::vector<std::string>& default_command_line() {
  static const std::vector<std::string> line{
      "systemd.volatile=state",  // the root is the verity device itself, /var starts empty
      "console=ttyS0",
      "panic=30",  // a node that fell over comes back, and is verified again
  };
  return line;
}

std::string parameter_key(std::string_view parameter) {
  std::string key(parameter.substr(0, parameter.find('=')));
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

Result<void> check_parameter(const Located<std::string>& parameter, ShellAccess shell) {
  TRY(check_text(parameter));
  const auto key = parameter_key(parameter.value);
  // The kernel takes a quote around a whole parameter away: "\"init=/bin/sh\"" is init=.
  std::string bare = key;
  std::erase(bare, '"');
  if (const auto* refusal = find(owned, bare))
    return wrong(parameter.at, fmt::format("the kernel parameter \"{}\" is not for a profile to set: {}",
                                           parameter.value, refusal->why));
  const auto* opens = find(shells, bare);
  const bool mentions_sulogin = parameter.value.find("SYSTEMD_SULOGIN_FORCE") != std::string::npos;
  if (shell == ShellAccess::refused && (opens != nullptr || mentions_sulogin))
    return wrong(parameter.at,
                 fmt::format("the kernel parameter \"{}\" is a way into the node: {}", parameter.value,
                             opens != nullptr ? opens->why : "it lets sulogin in without a password"),
                 "drop it, or say allow_shell = true in [kernel] of a profile that is not for production");
  return {};
}

Result<void> merge_command_line(std::vector<std::string>& line, const LocatedTexts& layer, ShellAccess shell) {
  std::set<std::string> seen;
  for (const auto& parameter : layer) {
    TRY(check_not_a_row(parameter));
    if (parameter.value.starts_with('!')) {
      TRY(remove_parameter(line, parameter));
      continue;
    }
    TRY(check_parameter(parameter, shell));
    const auto key = parameter_key(parameter.value);
    if (is_repeatable(key)) {
      if (std::find(line.begin(), line.end(), parameter.value) == line.end()) line.push_back(parameter.value);
      continue;
    }
    if (!seen.insert(key).second)
      return wrong(parameter.at, fmt::format("the kernel parameter \"{}\" is given twice", key));
    const auto old =
        std::find_if(line.begin(), line.end(), [&](const std::string& other) { return parameter_key(other) == key; });
    if (old != line.end())
      *old = parameter.value;
    else
      line.push_back(parameter.value);
  }
  return {};
}

}  // namespace ingot::builder::detail
