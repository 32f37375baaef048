#include "image_name.hpp"

#include <algorithm>

namespace ingot::signer {
namespace {

constexpr std::uint64_t os_release_cap_bytes = 64u << 10;
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

std::string image_name(const ByteSource& file, const codec::Pe& pe) {
  if (pe.find(".linux") == nullptr) return "a PE file";
  const auto* section = pe.find(".osrel");
  if (section == nullptr) return "a UKI";
  const auto text =
      read_part(file, section->raw_offset, std::min(section->raw_size, section->virtual_size), os_release_cap_bytes);
  const auto name = text ? value_of(as_text(*text), "IMAGE_ID") : std::string();
  if (name.empty()) return "a UKI";
  return "UKI " + name + " " + value_of(as_text(*text), "IMAGE_VERSION");
}

}  // namespace ingot::signer
