#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "expected.hpp"
#include "ingot/measure/uki.hpp"
#include "uki_layout.hpp"

namespace ingot::measure {
namespace {

constexpr PcrIndex kernel_boot_pcr = 11;  // UAPI group, "Linux TPM PCR Registry"
constexpr std::string_view magic_start = "#### LoaderInfo: systemd-stub ";
constexpr std::string_view magic_end = " ####";

std::string printable(std::string_view text) {
  std::string out(text.substr(0, text.find('\0')));
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

/// What os-release calls the system: PRETTY_NAME, unquoted.
std::string pretty_name(std::string_view os_release) {
  constexpr std::string_view key = "PRETTY_NAME=";
  const auto at = os_release.starts_with(key) ? 0 : os_release.find(std::string("\n") + std::string(key));
  if (at == std::string_view::npos) return printable(os_release.substr(0, os_release.find('\n')));
  auto value = os_release.substr(os_release.find('=', at) + 1);
  value = value.substr(0, value.find('\n'));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  return std::string(value);
}

}  // namespace

Result<std::string> section_text(const ByteSource& uki, const codec::PeSection& section) {
  if (section.name == ".cmdline") return kernel_command_line(TRY(read_section(uki, section)));
  if (section.name == ".uname") return printable(as_text(TRY(read_section(uki, section))));
  if (section.name == ".osrel") return pretty_name(as_text(TRY(read_section(uki, section))));
  return fmt::format("{} bytes", section.virtual_size);
}

Result<Buffer> read_section(const ByteSource& uki, const codec::PeSection& section) {
  if (section.virtual_size > text_section_cap_bytes)
    return fail(ErrorCode::limit,
                fmt::format("{} has {} bytes; 64 KiB are the most", section.name, section.virtual_size));
  const auto piece = loaded_section(section);
  auto bytes = TRY(read_part(uki, piece.offset, piece.size, text_section_cap_bytes));
  bytes.resize(section.virtual_size, 0);
  return bytes;
}

Result<std::uint32_t> stub_version(const ByteSource& uki, const codec::Pe& pe) {
  const auto* section = pe.find(".sdmagic");
  if (section == nullptr)
    return fail(ErrorCode::unsupported, "no .sdmagic section: this was not made with systemd-stub",
                "make the UKI with systemd's linuxx64.efi.stub");
  const auto bytes = TRY(read_section(uki, *section));
  auto text = as_text(bytes);
  text = text.substr(0, text.find('\0'));
  std::uint32_t version = 0;
  if (text.starts_with(magic_start) && text.ends_with(magic_end)) {
    text.remove_prefix(magic_start.size());
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    // "257.9-1~deb13u1", "258~rc1-2", "257": the number ends where no digit is.
    if (error == std::errc{} && version != 0) return version;
  }
  return fail(ErrorCode::malformed, "the .sdmagic section names no systemd-stub version");
}

Result<std::vector<std::string>> measured_sections(std::uint32_t version) {
  // enum UnifiedSection of systemd's src/fundamental/uki.h at each tag, without .pcrsig, which is never measured.
  struct Order {
    std::uint32_t first, last;
    std::vector<std::string> names;
  };
  static const std::vector<Order> orders = {
      {252, 253, {".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey"}},
      {254, 255, {".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey"}},
      {256,
       256,
       {".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey"}},
      {257,
       257,
       {".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey",
        ".profile", ".dtbauto", ".hwids"}},
  };
  for (const auto& order : orders)
    if (version >= order.first && version <= order.last) return order.names;
  return fail(ErrorCode::unsupported,
              fmt::format("systemd-stub {}: its measuring order is not known here (252 to 257 are)", version),
              "use the stub of systemd 257");
}

Result<void> check_predictable(const codec::Pe& pe) {
  std::map<std::string, int> seen;
  for (const auto& section : pe.sections) ++seen[section.name];
  for (const char* name : {".profile", ".dtbauto", ".hwids"})
    if (seen.contains(name))
      return fail(ErrorCode::unsupported,
                  fmt::format("a UKI with {}: what it measures depends on the machine or the boot entry", name),
                  "make a UKI for one profile and one machine class");
  for (const auto& [name, count] : seen)
    if (count > 1) return fail(ErrorCode::malformed, fmt::format("section {} occurs {} times", name, count));
  if (!seen.contains(".linux")) return fail(ErrorCode::malformed, "no .linux section: not a unified kernel image");
  if (!seen.contains(".cmdline"))
    return fail(ErrorCode::unsupported, "no .cmdline section: whoever starts this UKI chooses its command line",
                "put the command line into the UKI");
  return {};
}

Result<std::vector<ExpectedEvent>> section_events(const ByteSource& uki, const codec::Pe& pe) {
  TRY(check_predictable(pe));
  std::vector<const codec::PeSection*> sections;
  std::vector<Stream> streams;
  for (const auto& name : TRY(measured_sections(TRY(stub_version(uki, pe))))) {
    const auto* section = pe.find(name);
    if (section == nullptr || section->virtual_size == 0) continue;
    sections.push_back(section);
    streams.push_back({loaded_section(*section)});
  }
  auto digests = TRY(hash_streams(uki, streams));
  std::vector<ExpectedEvent> events;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const auto& name = sections[i]->name;
    const std::string with_nul(name.c_str(), name.size() + 1);
    events.push_back(expect_data(kernel_boot_pcr, EventType::EV_IPL, as_bytes(with_nul), name + ", name", name));
    auto text = TRY(section_text(uki, *sections[i]));
    events.push_back({kernel_boot_pcr, EventType::EV_IPL, std::move(digests[i]), name, std::move(text), {}});
  }
  return events;
}

std::vector<ExpectedEvent> phase_events(const std::vector<std::string>& phases) {
  std::vector<ExpectedEvent> events;
  for (const auto& phase : phases)
    events.push_back(expect_data(kernel_boot_pcr, EventType::EV_IPL, as_bytes(phase), "phase " + phase, phase));
  return events;
}

}  // namespace ingot::measure
