#include "explain.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/codec/event_text.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/uki.hpp"

namespace ingot::check {
namespace {

std::string digest_text(const Digests& digests) {
  for (const auto alg : predicted_banks)
    if (const auto found = digests.find(alg); found != digests.end())
      return fmt::format("{} {}", to_text(alg), to_hex(found->second));
  return "no digest of a known bank";
}

bool is_measured(const Event& event, Bytes bytes) { return same_digests(crypto::hash_banks(bytes), event.digests); }

/// A text as a section may hold it: as it is, with a line feed, with NUL.
bool is_section_of(const Event& event, const std::string& text) {
  const std::string forms[] = {text, text + '\n', text + '\0', text + "\n" + '\0'};
  return std::any_of(std::begin(forms), std::end(forms),
                     [&](const std::string& form) { return is_measured(event, as_bytes(form)); });
}

bool is_load_options_of(const Event& event, const std::string& text) {
  auto utf16 = to_utf16le(text);
  utf16.insert(utf16.end(), 2, 0);
  return is_measured(event, utf16);
}

ObservedText reported(const std::string& text, bool vouched) {
  return {vouched ? text : text + " (as the node reports it; no digest vouches for it)", vouched};
}

/// A certificate, variable or section changed: what that usually means.
struct Explanation {
  std::string cause;
  Remedy remedy;
};

Explanation explain_platform(PcrIndex pcr, std::string_view component) {
  if (pcr == 0)
    return {
        component == "PEIFV"
            ? "another firmware build, or another machine shape: memory size and CPU count change this volume in memory"
            : "the firmware is another build than the platform was learned from",
        Remedy::update_platform};
  if (pcr == 1)
    return {component.starts_with("Boot") ? "a boot entry was added, removed or reordered"
                                          : "the machine's configuration or hardware is not the platform's",
            Remedy::update_platform};
  if (pcr == 2) return {"a device with an option ROM was added, removed or updated", Remedy::update_platform};
  if (pcr == 3) return {"the configuration of a device driver changed", Remedy::update_platform};
  return {"the machine's vendor measured something else", Remedy::update_platform};
}

Explanation explain_secure_boot(std::string_view component) {
  if (component == "SbatLevel")
    return {
        "the machine revokes other generations of boot files than this shim does by itself: a newer shim ran on it, "
        "or somebody set SbatPolicy",
        Remedy::investigate};
  if (component.ends_with("authority"))
    return {"another certificate of db let the boot file start: it was signed with another key", Remedy::investigate};
  if (component == "SecureBoot") return {"Secure Boot was switched off or on", Remedy::investigate};
  if (component == "separator")
    return {"the firmware reported an error, or measured policy at another time", Remedy::investigate};
  return {
      fmt::format("keys were added to or removed from {}", component.empty() ? "a Secure Boot variable" : component),
      Remedy::investigate};
}

Explanation explain_image(PcrIndex pcr, std::string_view component, FindingKind kind) {
  switch (pcr) {
    case 4:
      if (kind == FindingKind::event_unexpected)
        return {"a boot application ran that nothing expects", Remedy::investigate};
      if (component == "systemd-boot" || component == "shim")
        return {fmt::format("{} is another one", component), Remedy::redeploy};
      return {"the boot file is another one; PCR 11 tells which part of it differs", Remedy::redeploy};
    case 5:
      if (component == "GPT") return {"a partition was added, removed, moved or renamed", Remedy::redeploy};
      if (component == "loader.conf") return {"systemd-boot read another configuration", Remedy::redeploy};
      return {"the firmware and the kernel took other steps from boot manager to kernel", Remedy::investigate};
    case 9:
      if (component == "load options") return {"the kernel got another command line", Remedy::redeploy};
      return {"the kernel got another initrd, or the UKI's PCR signature was made anew", Remedy::redeploy};
    case 11:
      if (component.starts_with("phase"))
        return {"the boot stopped at, or went through, other phases than expected", Remedy::investigate};
      if (component.starts_with(".cmdline"))
        return {"the command line in the UKI was changed and the UKI signed again", Remedy::redeploy};
      return {fmt::format("the UKI holds another {}", component.empty() ? "section" : component), Remedy::redeploy};
    case 12:
      return {
          "a command line, addon or credential was added at boot: from the ESP, the boot entry or the firmware's "
          "SMBIOS strings",
          Remedy::investigate};
    case 13:
      return {"a system extension was added at boot", Remedy::investigate};
    case 14:
      if (component.starts_with("MokList") && kind == FindingKind::event_differs)
        return {"shim has other keys: a machine owner's key (MOK) was added or removed, or it is another build of shim",
                Remedy::investigate};
      if (kind == FindingKind::event_missing)
        return {"shim did not run: the boot took another way", Remedy::investigate};
      return {"shim ran with settings, or in a boot, where nothing expects it", Remedy::investigate};
  }
  return {"nothing of this image is measured here", Remedy::investigate};
}

Explanation explanation(PcrIndex pcr, std::string_view component, FindingKind kind) {
  if (pcr == 7) return explain_secure_boot(component);
  if (std::find(std::begin(platform_pcrs), std::end(platform_pcrs), pcr) != std::end(platform_pcrs))
    return explain_platform(pcr, component);
  return explain_image(pcr, component, kind);
}

}  // namespace

ObservedText observed_text(const Event& event, const Evidence& evidence) {
  const auto described = codec::describe_event(event);
  const std::string line = measure::kernel_command_line(as_bytes(evidence.kernel_command_line));
  if (event.pcr == 11 && described.component == ".cmdline" && !line.empty())
    return reported(line, is_section_of(event, line) || is_section_of(event, evidence.kernel_command_line));
  if (event.pcr == 9 && described.component == "load options" && !line.empty())
    return reported(line, is_load_options_of(event, line));
  if (event.pcr == 11 && described.component == ".osrel" && is_section_of(event, evidence.os_release))
    return {evidence.os_release, true};
  if (described.text.empty() || described.vouched) return {described.text, described.vouched};
  return {described.text + " (the log's text; no digest vouches for it)", false};
}

Finding explain(PcrIndex pcr, const Difference& difference, const Evidence& evidence) {
  const auto* expected = difference.expected;
  const auto* observed = difference.observed;
  const auto described = observed == nullptr ? codec::EventText{} : codec::describe_event(*observed);
  const std::string component = expected != nullptr ? expected->cause : described.component;
  auto [cause, remedy] = explanation(pcr, component, difference.kind);
  Finding finding{difference.kind, fmt::format("pcr {}, {}", pcr, component), "nothing", "nothing", std::move(cause),
                  remedy};
  if (expected != nullptr) finding.expected = expected->text;
  bool vouched = false;
  if (observed != nullptr) {
    auto seen = observed_text(*observed, evidence);
    finding.observed = std::move(seen.text);
    vouched = seen.vouched;
  }
  // Where the texts do not tell the two apart, or nothing vouches for one, the digests are shown too.
  const bool texts_tell =
      vouched && !finding.expected.empty() && !finding.observed.empty() && finding.expected != finding.observed;
  const auto with_digest = [](std::string text, const Digests& digests) {
    return text.empty() ? digest_text(digests) : fmt::format("{}, {}", text, digest_text(digests));
  };
  if (expected != nullptr && !texts_tell)
    finding.expected = with_digest(std::move(finding.expected), expected->digests);
  if (observed != nullptr && !texts_tell)
    finding.observed = with_digest(std::move(finding.observed), observed->digests);
  // Another component stands where this one belongs.
  if (expected != nullptr && observed != nullptr && described.component != component && pcr != 4)
    finding.observed = fmt::format("{}: {}", described.component, finding.observed);
  if (!difference.also.empty()) {
    std::string also;
    for (const auto& one : difference.also) also += (also.empty() ? "" : "; ") + one;
    finding.cause += fmt::format(" (further events of this PCR that differ: {})", also);
  }
  return finding;
}

Finding explain_value(PcrIndex pcr, HashAlg bank, std::string expected, std::string observed) {
  return {FindingKind::pcr_differs,
          fmt::format("pcr {}, {}", pcr, to_text(bank)),
          std::move(expected),
          std::move(observed),
          "the log does not tell why: it was cut or forged, or something extended the PCR without logging it",
          Remedy::investigate};
}

}  // namespace ingot::check
