// Text forms of the vocabulary.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "ingot/model/baseline.hpp"
#include "ingot/model/boot_chain.hpp"
#include "ingot/model/event.hpp"
#include "ingot/model/finding.hpp"
#include "ingot/model/release.hpp"
#include "ingot/model/setting.hpp"

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

namespace {

struct KindRow {
  FindingKind kind;
  std::string_view name;
  std::string_view meaning;
};
constexpr KindRow kind_rows[] = {
    {FindingKind::event_differs, "event-differs", "An expected event was measured with another digest."},
    {FindingKind::event_missing, "event-missing", "An expected event was not measured."},
    {FindingKind::event_unexpected, "event-unexpected", "Something was measured that nothing expects."},
    {FindingKind::pcr_differs, "pcr-differs", "A PCR does not hold the predicted value."},
    {FindingKind::pcr_missing, "pcr-missing", "A PCR that is policed has no value, or no policy."},
    {FindingKind::log_replay_differs, "log-replay-differs", "A log does not lead to the value that the TPM signed."},
    {FindingKind::log_problem, "log-problem", "The firmware's log breaks a rule of its grammar, or is missing."},
    {FindingKind::known_other_release, "known-other-release", "What booted is another known release of the profile."},
    {FindingKind::release_revoked, "release-revoked", "The release is on the list of revoked ones."},
    {FindingKind::release_expired, "release-expired", "The release may not run any more: its time is over."},
    {FindingKind::release_older, "release-older", "A newer release of the profile was accepted before: a rollback."},
    {FindingKind::quote_invalid, "quote-invalid",
     "Signature, magic, type or structure of the quote, or its key, do not hold."},
    {FindingKind::quote_nonce_differs, "quote-nonce-differs",
     "The quote answers another question, or goes with other logs."},
    {FindingKind::quote_selection_differs, "quote-selection-differs",
     "The quote covers fewer or other PCRs than the policy needs."},
    {FindingKind::quote_pcrs_differ, "quote-pcrs-differ",
     "The PCR values handed over are not the ones that were signed."},
    {FindingKind::quote_missing, "quote-missing", "No TPM vouches for the evidence."},
    {FindingKind::bank_missing, "bank-missing", "A bank of PCRs is not active, not logged or not predicted."},
    {FindingKind::node_differs, "node-differs", "The evidence is of another node than the one that was asked."},
    {FindingKind::channel_differs, "channel-differs", "The evidence was made for another connection: it was relayed."},
    {FindingKind::key_not_enrolled, "key-not-enrolled",
     "The attestation key is not the one that enrolment bound to the node."},
    {FindingKind::clock_went_back, "clock-went-back", "The TPM's counters are behind the last accepted ones."},
    {FindingKind::file_differs, "file-differs", "A file of the image was read with other content (IMA)."},
    {FindingKind::file_unknown, "file-unknown", "A file that the image does not contain was run or read (IMA)."},
    {FindingKind::ima_replay_differs, "ima-replay-differs", "The IMA list does not lead to the signed PCR 10."},
    {FindingKind::boot_refused, "boot-refused", "Firmware refused to start the image."},
    {FindingKind::image_differs, "image-differs", "Bytes of the image are not what the baseline says."},
    {FindingKind::signature_invalid, "signature-invalid", "A signature of the image does not hold."},
    {FindingKind::setting_differs, "setting-differs",
     "The node reports another value of a setting than the profile's."},
    {FindingKind::setting_missing, "setting-missing",
     "The profile sets something that the node does not have, or does not report."},
    {FindingKind::setting_unexpected, "setting-unexpected",
     "The node reports a rule, user, socket, module, unit, mount or swap that the profile does not have."},
    {FindingKind::volume_differs, "volume-differs",
     "An encrypted volume is sealed under another policy, is not the one that the node had, was not opened first, "
     "opens for revoked releases, or was to be erased by this image and was not."},
};

const KindRow& row_of(FindingKind kind) { return kind_rows[static_cast<std::size_t>(kind)]; }

}  // namespace

std::string to_text(FindingKind kind) { return std::string(row_of(kind).name); }
std::string meaning(FindingKind kind) { return std::string(row_of(kind).meaning); }
std::vector<FindingKind> finding_kinds() {
  std::vector<FindingKind> kinds;
  for (const auto& row : kind_rows) kinds.push_back(row.kind);
  return kinds;
}

namespace {

constexpr std::array<std::pair<SettingArea, std::string_view>, 14> area_names = {
    {{SettingArea::sshd, "sshd"},
     {SettingArea::sysctl, "sysctl"},
     {SettingArea::kernel_parameter, "kernel-parameter"},
     {SettingArea::module, "module"},
     {SettingArea::audit_status, "audit-status"},
     {SettingArea::audit_rule, "audit-rule"},
     {SettingArea::firewall, "firewall"},
     {SettingArea::unit, "unit"},
     {SettingArea::account, "account"},
     {SettingArea::socket, "socket"},
     {SettingArea::mount, "mount"},
     {SettingArea::security_module, "security-module"},
     {SettingArea::volume, "volume"},
     {SettingArea::file, "file"}}};

}  // namespace

std::string to_text(SettingArea area) {
  for (const auto& [value, name] : area_names)
    if (value == area) return std::string(name);
  return {};
}

std::optional<SettingArea> parse_setting_area(std::string_view text) {
  for (const auto& [value, name] : area_names)
    if (name == text) return value;
  return std::nullopt;
}

namespace {

constexpr std::array<std::pair<VolumeMaker, std::string_view>, 3> maker_names = {
    {{VolumeMaker::any, "any"}, {VolumeMaker::shares, "shares"}, {VolumeMaker::in_place, "in-place"}}};

}  // namespace

std::string to_text(VolumeMaker maker) {
  for (const auto& [value, name] : maker_names)
    if (value == maker) return std::string(name);
  return {};
}

std::optional<VolumeMaker> parse_volume_maker(std::string_view text) {
  for (const auto& [value, name] : maker_names)
    if (name == text) return value;
  return std::nullopt;
}

namespace {

constexpr std::array<std::pair<BootChain, std::string_view>, 3> chain_names = {
    {{BootChain::uki, "uki"}, {BootChain::systemd_boot, "systemd-boot"}, {BootChain::shim, "shim"}}};

}  // namespace

std::string to_text(BootChain chain) {
  for (const auto& [value, name] : chain_names)
    if (value == chain) return std::string(name);
  return {};
}

std::optional<BootChain> parse_boot_chain(std::string_view text) {
  for (const auto& [value, name] : chain_names)
    if (name == text) return value;
  return std::nullopt;
}

const Revocation* find_revocation(const std::vector<Revocation>& revoked, std::string_view profile,
                                  std::uint64_t version) {
  for (const auto& one : revoked)
    if (one.profile == profile && one.version == version) return &one;
  return nullptr;
}

}  // namespace ingot
