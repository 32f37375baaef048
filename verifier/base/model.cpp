// Text forms of the vocabulary.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "ingot/model/event.hpp"
#include "ingot/model/finding.hpp"

namespace ingot {
namespace {

constexpr std::array<std::pair<HashAlg, std::string_view>, 5> hash_names = {{{HashAlg::sha1, "sha1"},
                                                                             {HashAlg::sha256, "sha256"},
                                                                             {HashAlg::sha384, "sha384"},
                                                                             {HashAlg::sha512, "sha512"},
                                                                             {HashAlg::sm3_256, "sm3_256"}}};

#define INGOT_EVENT(name) \
  std::pair<EventType, std::string_view> { EventType::name, #name }
constexpr std::array event_names = {INGOT_EVENT(EV_PREBOOT_CERT),
                                    INGOT_EVENT(EV_POST_CODE),
                                    INGOT_EVENT(EV_UNUSED),
                                    INGOT_EVENT(EV_NO_ACTION),
                                    INGOT_EVENT(EV_SEPARATOR),
                                    INGOT_EVENT(EV_ACTION),
                                    INGOT_EVENT(EV_EVENT_TAG),
                                    INGOT_EVENT(EV_S_CRTM_CONTENTS),
                                    INGOT_EVENT(EV_S_CRTM_VERSION),
                                    INGOT_EVENT(EV_CPU_MICROCODE),
                                    INGOT_EVENT(EV_PLATFORM_CONFIG_FLAGS),
                                    INGOT_EVENT(EV_TABLE_OF_DEVICES),
                                    INGOT_EVENT(EV_COMPACT_HASH),
                                    INGOT_EVENT(EV_IPL),
                                    INGOT_EVENT(EV_IPL_PARTITION_DATA),
                                    INGOT_EVENT(EV_NONHOST_CODE),
                                    INGOT_EVENT(EV_NONHOST_CONFIG),
                                    INGOT_EVENT(EV_NONHOST_INFO),
                                    INGOT_EVENT(EV_OMIT_BOOT_DEVICE_EVENTS),
                                    INGOT_EVENT(EV_POST_CODE2),
                                    INGOT_EVENT(EV_EFI_VARIABLE_DRIVER_CONFIG),
                                    INGOT_EVENT(EV_EFI_VARIABLE_BOOT),
                                    INGOT_EVENT(EV_EFI_BOOT_SERVICES_APPLICATION),
                                    INGOT_EVENT(EV_EFI_BOOT_SERVICES_DRIVER),
                                    INGOT_EVENT(EV_EFI_RUNTIME_SERVICES_DRIVER),
                                    INGOT_EVENT(EV_EFI_GPT_EVENT),
                                    INGOT_EVENT(EV_EFI_ACTION),
                                    INGOT_EVENT(EV_EFI_PLATFORM_FIRMWARE_BLOB),
                                    INGOT_EVENT(EV_EFI_HANDOFF_TABLES),
                                    INGOT_EVENT(EV_EFI_PLATFORM_FIRMWARE_BLOB2),
                                    INGOT_EVENT(EV_EFI_HANDOFF_TABLES2),
                                    INGOT_EVENT(EV_EFI_VARIABLE_BOOT2),
                                    INGOT_EVENT(EV_EFI_GPT_EVENT2),
                                    INGOT_EVENT(EV_EFI_HCRTM_EVENT),
                                    INGOT_EVENT(EV_EFI_VARIABLE_AUTHORITY),
                                    INGOT_EVENT(EV_EFI_SPDM_FIRMWARE_BLOB),
                                    INGOT_EVENT(EV_EFI_SPDM_FIRMWARE_CONFIG),
                                    INGOT_EVENT(EV_EFI_SPDM_DEVICE_POLICY),
                                    INGOT_EVENT(EV_EFI_SPDM_DEVICE_AUTHORITY)};
#undef INGOT_EVENT

}  // namespace

std::string to_text(HashAlg alg) {
  for (const auto& [value, name] : hash_names)
    if (value == alg) return std::string(name);
  return fmt::format("0x{:04x}", static_cast<std::uint16_t>(alg));
}

std::optional<HashAlg> parse_hash_alg(std::string_view text) {
  for (const auto& [value, name] : hash_names)
    if (name == text) return value;
  return std::nullopt;
}

std::size_t digest_size_bytes(HashAlg alg) {
  switch (alg) {
    case HashAlg::sha1:
      return 20;
    case HashAlg::sha256:
      return 32;
    case HashAlg::sha384:
      return 48;
    case HashAlg::sha512:
      return 64;
    case HashAlg::sm3_256:
      return 32;
  }
  return 0;
}

std::string to_text(EventType type) {
  for (const auto& [value, name] : event_names)
    if (value == type) return std::string(name);
  return fmt::format("0x{:08x}", static_cast<std::uint32_t>(type));
}

std::optional<EventType> parse_event_type(std::string_view text) {
  for (const auto& [value, name] : event_names)
    if (name == text) return value;
  if (text.size() == 10 && text.starts_with("0x"))
    if (const auto bytes = parse_hex(text.substr(2)))
      return static_cast<EventType>(std::uint32_t{(*bytes)[0]} << 24 | std::uint32_t{(*bytes)[1]} << 16 |
                                    std::uint32_t{(*bytes)[2]} << 8 | (*bytes)[3]);
  return std::nullopt;
}

std::string to_text(Remedy remedy) {
  switch (remedy) {
    case Remedy::redeploy:
      return "redeploy";
    case Remedy::re_enrol:
      return "re-enrol";
    case Remedy::update_platform:
      return "update platform";
    case Remedy::investigate:
      return "investigate";
  }
  return {};
}

std::string to_text(FindingKind kind) {
  switch (kind) {
    case FindingKind::event_differs:
      return "event-differs";
    case FindingKind::event_missing:
      return "event-missing";
    case FindingKind::event_unexpected:
      return "event-unexpected";
    case FindingKind::pcr_differs:
      return "pcr-differs";
    case FindingKind::pcr_missing:
      return "pcr-missing";
    case FindingKind::log_replay_differs:
      return "log-replay-differs";
    case FindingKind::log_problem:
      return "log-problem";
    case FindingKind::known_other_release:
      return "known-other-release";
    case FindingKind::quote_invalid:
      return "quote-invalid";
    case FindingKind::quote_nonce_differs:
      return "quote-nonce-differs";
    case FindingKind::quote_selection_differs:
      return "quote-selection-differs";
    case FindingKind::quote_pcrs_differ:
      return "quote-pcrs-differ";
    case FindingKind::quote_missing:
      return "quote-missing";
    case FindingKind::bank_missing:
      return "bank-missing";
    case FindingKind::boot_refused:
      return "boot-refused";
    case FindingKind::image_differs:
      return "image-differs";
    case FindingKind::signature_invalid:
      return "signature-invalid";
  }
  return {};
}

}  // namespace ingot
