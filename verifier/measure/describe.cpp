#include <fmt/format.h>

#include "ingot/measure/image_name.hpp"
#include "ingot/measure/uki.hpp"
#include "uki_layout.hpp"

namespace ingot::measure {
namespace {

/// What a file says of itself goes to a terminal: nothing in it may move the cursor.
std::string shown(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

std::string machine_name(const codec::Pe& pe) { return pe.machine == 0xAA64 ? "AArch64" : "x86-64"; }

constexpr std::size_t name_cap_bytes = 100;

std::string value_of(std::string_view os_release, std::string_view name) {
  const std::string wanted = "\n" + std::string(name) + "=";
  const auto text = "\n" + std::string(os_release);
  const auto at = text.find(wanted);
  if (at == std::string::npos) return {};
  std::string value;
  for (const char c : text.substr(at + wanted.size(), name_cap_bytes)) {
    if (c == '\n') break;
    if (c > ' ' && c < 0x7F && c != '"' && c != '\'') value += c;
  }
  return value;
}

}  // namespace

Result<std::string> describe_image(const ByteSource& file, const codec::Pe& pe) {
  const auto* command_line = pe.find(".cmdline");
  if (pe.find(".linux") == nullptr || command_line == nullptr)
    return fmt::format("PE, {}, {} sections", machine_name(pe), pe.sections.size());
  std::string out = "UKI of ";
  const auto* release = pe.find(".uname");
  out += release == nullptr ? "a kernel that names no release" : "kernel " + shown(TRY(section_text(file, *release)));
  if (const auto* system = pe.find(".osrel")) out += ", " + shown(TRY(section_text(file, *system)));
  return out + fmt::format(", command line \"{}\"", shown(TRY(section_text(file, *command_line))));
}

std::string image_name(const ByteSource& file, const codec::Pe& pe) {
  if (pe.find(".linux") == nullptr) return "a PE file";
  const auto* section = pe.find(".osrel");
  if (section == nullptr) return "a UKI";
  const auto text = read_section(file, *section);
  const auto name = text ? value_of(as_text(*text), "IMAGE_ID") : std::string();
  if (name.empty()) return "a UKI";
  return "UKI " + name + " " + value_of(as_text(*text), "IMAGE_VERSION");
}

}  // namespace ingot::measure
