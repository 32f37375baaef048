#include <fmt/format.h>

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

}  // namespace ingot::measure
