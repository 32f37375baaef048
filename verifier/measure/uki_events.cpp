#include <fmt/format.h>

#include "boot_events.hpp"
#include "expected.hpp"
#include "ingot/measure/uki.hpp"
#include "uki_layout.hpp"

namespace ingot::measure {
namespace {

constexpr PcrIndex kernel_pcr = 9;

bool is_white(char c) {
  const auto value = static_cast<unsigned char>(c);
  return value <= 0x20 || value == 0x7F;
}

/// The kernel's EFI stub measures the load options as systemd-stub passes them: UTF-16 with NUL.
/// Linux drivers/firmware/efi/libstub/efi-stub-helper.c, efi_measure_tagged_event().
Result<ExpectedEvent> load_options_event(const ByteSource& uki, const codec::Pe& pe) {
  const auto section = TRY(read_section(uki, *pe.find(".cmdline")));
  auto text = kernel_command_line(section);
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80)
      return fail(ErrorCode::unsupported, "the command line is not ASCII: stubs differ in how they convert it");
  auto utf16 = to_utf16le(text);
  utf16.insert(utf16.end(), 2, 0);
  return expect_data(kernel_pcr, EventType::EV_EVENT_TAG, utf16, "load options", std::move(text));
}

}  // namespace

std::string kernel_command_line(Bytes cmdline_section) {
  auto text = std::string(as_text(cmdline_section));
  text.erase(std::min(text.find('\0'), text.size()));
  while (!text.empty() && is_white(text.back())) text.pop_back();
  std::size_t start = 0;
  while (start < text.size() && is_white(text[start])) ++start;
  text.erase(0, start);
  for (char& c : text)
    if (is_white(c)) c = ' ';
  return text;
}

// TCG PFP 1.06, "PCR[4] - Boot Manager Code and Boot Attempts". The firmware announces the first attempt before the
// separators, and each further one after them: "Returning ..." and "Calling ..." again.
std::vector<ExpectedEvent> boot_attempt_events() {
  constexpr std::string_view calling = "Calling EFI Application from Boot Option";
  constexpr std::string_view returning = "Returning from EFI Application from Boot Option";
  constexpr const char* block = "earlier boot entry failed";
  return {expect_action(4, calling), expect_separator(4), expect_action(4, returning, block),
          expect_action(4, calling, block)};
}

// TCG PFP 1.06, "PCR[5] - Boot Manager Configuration and Data": the operating system may have to ask twice.
std::vector<ExpectedEvent> exit_boot_services_events() {
  constexpr std::string_view invocation = "Exit Boot Services Invocation";
  constexpr const char* block = "ExitBootServices retried";
  return {expect_action(5, invocation), expect_action(5, "Exit Boot Services Returned with Failure", block),
          expect_action(5, invocation, block), expect_action(5, "Exit Boot Services Returned with Success")};
}

Result<LoadedUki> loaded_uki_events(const ByteSource& uki) {
  const auto pe = TRY(codec::decode_pe(uki));
  TRY(check_predictable(pe));
  LoadedUki out;
  out.stub = TRY(stub_version(uki, pe));
  out.authenticode = TRY(authenticode_digests(uki, pe, predicted_banks));
  out.events.push_back(
      {4, EventType::EV_EFI_BOOT_SERVICES_APPLICATION, out.authenticode, "UKI", "Authenticode digest of the UKI", {}});
  append(out.events, TRY(section_events(uki, pe)));
  out.events.push_back(TRY(load_options_event(uki, pe)));
  auto initrd = TRY(initrd_stream(uki, pe));
  if (stream_size(initrd.stream) != 0) {
    auto digests = TRY(hash_streams(uki, {initrd.stream}));
    out.events.push_back(
        {kernel_pcr, EventType::EV_EVENT_TAG, std::move(digests[0]), "initrd", std::move(initrd.text), {}});
  }
  return out;
}

Result<std::vector<ExpectedEvent>> uki_events(const ByteSource& uki, const std::vector<std::string>& phases) {
  auto events = boot_attempt_events();
  append(events, TRY(loaded_uki_events(uki)).events);
  append(events, phase_events(phases));
  return events;
}

}  // namespace ingot::measure
