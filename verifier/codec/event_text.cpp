#include "ingot/codec/event_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ingot/base/reader.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t shown_hex_bytes = 32;

std::string short_hex(Bytes data) {
  return data.size() <= shown_hex_bytes
             ? to_hex(data)
             : fmt::format("{}... ({} bytes)", to_hex(data.first(shown_hex_bytes)), data.size());
}

/// Printable ASCII, a NUL at the end allowed.
std::optional<std::string> ascii_text(Bytes data) {
  while (!data.empty() && data.back() == 0) data = data.first(data.size() - 1);
  if (data.empty() || !std::all_of(data.begin(), data.end(), [](auto byte) { return byte >= 0x20 && byte < 0x7F; }))
    return std::nullopt;
  return std::string(as_text(data));
}

/// UTF-16 of printable ASCII, a NUL at the end allowed.
std::optional<std::string> wide_text(Bytes data) {
  if (data.empty() || data.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 1; i < data.size(); i += 2)
    if (data[i] != 0) return std::nullopt;
  Buffer narrow;
  for (std::size_t i = 0; i < data.size(); i += 2) narrow.push_back(data[i]);
  return ascii_text(narrow);
}

std::string any_text(Bytes data) {
  if (std::all_of(data.begin(), data.end(), [](auto byte) { return byte == 0; })) return "(empty)";
  if (auto text = wide_text(data)) return *text;
  if (auto text = ascii_text(data)) return *text;
  return short_hex(data);
}

/// Every digest that we can compute is the one over `bytes`.
bool is_digest_of(const Event& event, Bytes bytes) {
  bool any = false;
  for (const auto& [alg, digest] : event.digests) {
    if (digest_size_bytes(alg) == 0) continue;
    if (crypto::hash(alg, bytes) != digest) return false;
    any = true;
  }
  return any;
}

std::string load_option_text(Bytes data) {
  // UEFI 2.10, "Load Options": attributes, size of the paths, description with NUL, paths.
  Reader in{data};
  in.skip(4);
  const std::uint16_t paths_size = in.u16le();
  Buffer description;
  for (std::uint16_t unit = in.u16le(); in.ok() && unit != 0; unit = in.u16le()) {
    description.push_back(static_cast<std::uint8_t>(unit));
    description.push_back(static_cast<std::uint8_t>(unit >> 8));
  }
  const Bytes paths = in.bytes(paths_size);
  if (!in.ok()) return short_hex(data);
  return fmt::format("{}: {}", any_text(description), device_path_text(paths));
}

std::string boot_order_text(Bytes data) {
  std::string text;
  Reader in{data};
  while (in.left() >= 2) text += fmt::format("{}{:04X}", text.empty() ? "" : ",", in.u16le());
  return text;
}

bool is_signature_database(std::string_view name) {
  constexpr std::string_view names[] = {"PK", "KEK", "db", "dbx", "dbt", "dbr"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string variable_text(const MeasuredVariable& variable) {
  if (is_signature_database(variable.name)) return describe_signature_lists(variable.data);
  if (variable.name == "SecureBoot" && variable.data.size() == 1) return variable.data[0] == 1 ? "on" : "off";
  if (variable.name == "BootOrder") return boot_order_text(variable.data);
  if (variable.name.size() == 8 && variable.name.starts_with("Boot")) return load_option_text(variable.data);
  return short_hex(variable.data);
}

EventText describe_variable(const Event& event) {
  const auto variable = decode_measured_variable(event.data);
  if (!variable) return {"EFI variable", short_hex(event.data), false};
  // EV_EFI_VARIABLE_BOOT is over the variable's data alone ("EV_EFI_VARIABLE_BOOT"); what vouches for the data does not
  // vouch for the name then, but a wrong name only makes a worse explanation.
  const bool vouched = is_digest_of(event, event.data) ||
                       (event.type == EventType::EV_EFI_VARIABLE_BOOT && is_digest_of(event, variable->data));
  return {any_text(to_utf16le(variable->name)), variable_text(*variable), vouched};
}

EventText describe_authority(const Event& event) {
  const auto variable = decode_measured_variable(event.data);
  if (!variable) return {"Secure Boot authority", short_hex(event.data), false};
  std::string text = short_hex(variable->data);
  // EFI_SIGNATURE_DATA: owner GUID, then the certificate.
  if (variable->data.size() > 16)
    if (const auto certificate = crypto::Certificate::from_der(Bytes(variable->data).subspan(16)))
      text = certificate->subject();
  return {any_text(to_utf16le(variable->name)) + " authority", std::move(text), is_digest_of(event, event.data)};
}

EventText describe_image(const Event& event) {
  std::string component = event.type == EventType::EV_EFI_BOOT_SERVICES_APPLICATION ? "UEFI application"
                          : event.pcr == 2                                          ? "option ROM"
                                                                                    : "UEFI driver";
  const auto load = decode_image_load(event.data);
  if (!load) return {std::move(component), short_hex(event.data), false};
  return {std::move(component), fmt::format("{} ({} bytes)", device_path_text(load->device_path), load->length_bytes),
          false};
}

/// The firmware volumes that OVMF measures, by the names of its .fdf.
std::string volume_name(std::string_view description) {
  static const std::map<std::string_view, std::string_view> names = {{"6938079b-b503-4e3d-9d24-b28337a25806", "PEIFV"},
                                                                     {"7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1", "DXEFV"}};
  std::string lower(description);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  for (const auto& [guid, name] : names)
    if (lower.find(guid) != std::string::npos) return std::string(name);
  return {};
}

/// UEFI_PLATFORM_FIRMWARE_BLOB, and BLOB2 with a description in front.
EventText describe_firmware(const Event& event) {
  Reader in{event.data};
  std::string description;
  if (event.type == EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2) description = any_text(in.bytes(in.u8()));
  const std::uint64_t base = in.u64le();
  const std::uint64_t length = in.u64le();
  if (!in.ok()) return {"firmware volume", any_text(event.data), false};
  std::string name = volume_name(description);
  // Older OVMF gives no names; its memory map does (OvmfPkg/Include/Fdf/OvmfPkgDefines.fdf.inc, MEMFD).
  if (name.empty() && description.empty()) name = base == 0x820000 ? "PEIFV" : base == 0x900000 ? "DXEFV" : "";
  return {name.empty() ? "firmware volume" : name,
          fmt::format("{}{}{} bytes at 0x{:x}", description, description.empty() ? "" : ", ", length, base), false};
}

EventText describe_gpt_event(const Event& event) {
  Reader in{event.data};
  in.skip(56);
  const Bytes disk = in.bytes(16);
  in.skip(20);
  const std::uint64_t count = in.u64le();
  std::vector<GptPartition> partitions;
  for (std::uint64_t i = 0; i < count && in.ok() && i < 128; ++i) {
    GptPartition partition;
    const Bytes type = in.bytes(16), unique = in.bytes(16);
    partition.first_lba = in.u64le();
    partition.last_lba = in.u64le();
    partition.attributes = in.u64le();
    auto name = from_utf16le(in.bytes(72));
    if (!in.ok()) break;
    partition.type = guid_from(type);
    partition.unique = guid_from(unique);
    partition.name = name.substr(0, name.find('\0'));
    partitions.push_back(std::move(partition));
  }
  if (!in.ok() || in.left() != 0) return {"GPT", short_hex(event.data), false};
  return {"GPT", describe_gpt(guid_from(disk), partitions), is_digest_of(event, event.data)};
}

/// TCG_PCClientTaggedEvent.
EventText describe_tagged(const Event& event) {
  constexpr std::uint32_t load_options_tag = 0x8F3B22ED;  // Linux, drivers/firmware/efi/libstub/efistub.h
  constexpr std::uint32_t initrd_tag = 0x8F3B22EC;
  Reader in{event.data};
  const std::uint32_t tag = in.u32le();
  const Bytes data = in.bytes(in.u32le());
  if (!in.ok()) return {"tagged event", short_hex(event.data), false};
  if (tag == load_options_tag && event.pcr == 9) return {"load options", {}, false};
  if (tag == initrd_tag && event.pcr == 9) return {"initrd", {}, false};
  return {fmt::format("tagged event 0x{:08x}", tag), any_text(data), is_digest_of(event, data)};
}

/// EV_IPL: systemd-stub names sections of PCR 11 in UTF-16; systemd-pcrextend names phases.
EventText describe_ipl(const Event& event) {
  const auto wide = wide_text(event.data);
  if (wide && wide->starts_with('.') && event.pcr == 11) {
    const std::string with_nul(wide->c_str(), wide->size() + 1);
    if (is_digest_of(event, as_bytes(with_nul))) return {*wide + ", name", *wide, true};
    return {*wide, {}, false};
  }
  if (wide)
    return {event.pcr == 12 ? "command line added at boot" : "boot loader", *wide, is_digest_of(event, event.data)};
  const auto narrow = ascii_text(event.data);
  if (!narrow) return {"boot loader", short_hex(event.data), is_digest_of(event, event.data)};
  const bool vouched = is_digest_of(event, as_bytes(*narrow)) || is_digest_of(event, event.data);
  return {event.pcr == 11 && narrow->find(':') == std::string::npos ? "phase " + *narrow : "boot loader", *narrow,
          vouched};
}

}  // namespace

std::string describe_gpt(const Guid& disk, const std::vector<GptPartition>& partitions) {
  static const std::map<Guid, std::string_view> types = {{esp_type, "EFI system"},
                                                         {root_x86_64_type, "root"},
                                                         {root_verity_x86_64_type, "root verity"},
                                                         {var_type, "var"},
                                                         {linux_generic_type, "Linux data"}};
  std::string text = fmt::format("disk {}", to_text(disk));
  for (const auto& partition : partitions) {
    const auto type = types.find(partition.type);
    text += fmt::format("; {} ({}, {}, LBA {}-{})", any_text(to_utf16le(partition.name)),
                        type == types.end() ? to_text(partition.type) : std::string(type->second),
                        to_text(partition.unique), partition.first_lba, partition.last_lba);
  }
  return text;
}

std::string describe_signature_lists(Bytes data) {
  const auto lists = decode_signature_lists(data);
  if (!lists) return fmt::format("{} bytes that are no signature lists", data.size());
  std::string text;
  std::size_t digests = 0;
  for (const auto& list : *lists)
    for (const auto& signature : list.signatures) {
      if (list.type != efi_cert_x509_guid) {
        ++digests;
        continue;
      }
      const auto certificate = crypto::Certificate::from_der(signature.data);
      text += (text.empty() ? "" : "; ") + (certificate ? certificate->subject() : "a certificate that cannot be read");
    }
  if (digests != 0) text += fmt::format("{}{} digests", text.empty() ? "" : "; ", digests);
  return text.empty() ? "empty" : text;
}

EventText describe_event(const Event& event) {
  const auto over_data = [&] { return is_digest_of(event, event.data); };
  switch (event.type) {
    case EventType::EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EventType::EV_EFI_VARIABLE_BOOT:
    case EventType::EV_EFI_VARIABLE_BOOT2:
    case EventType::EV_EFI_SPDM_DEVICE_POLICY:
      return describe_variable(event);
    case EventType::EV_EFI_VARIABLE_AUTHORITY:
    case EventType::EV_EFI_SPDM_DEVICE_AUTHORITY:
      return describe_authority(event);
    case EventType::EV_EFI_BOOT_SERVICES_APPLICATION:
    case EventType::EV_EFI_BOOT_SERVICES_DRIVER:
    case EventType::EV_EFI_RUNTIME_SERVICES_DRIVER:
      return describe_image(event);
    case EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB:
    case EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2:
      return describe_firmware(event);
    case EventType::EV_EFI_GPT_EVENT:
    case EventType::EV_EFI_GPT_EVENT2:
      return describe_gpt_event(event);
    case EventType::EV_EVENT_TAG:
      return describe_tagged(event);
    case EventType::EV_IPL:
      return describe_ipl(event);
    case EventType::EV_ACTION:
    case EventType::EV_EFI_ACTION:
      return {any_text(event.data), {}, over_data()};
    case EventType::EV_SEPARATOR:
      return {"separator", event.data == Buffer(4, 0) ? "" : short_hex(event.data), over_data()};
    case EventType::EV_S_CRTM_VERSION:
      return {"CRTM version", any_text(event.data), over_data()};
    case EventType::EV_S_CRTM_CONTENTS:
      return {"CRTM contents", any_text(event.data), false};
    case EventType::EV_EFI_HCRTM_EVENT:
      return {"H-CRTM", any_text(event.data), false};
    case EventType::EV_POST_CODE:
    case EventType::EV_POST_CODE2:
      return {"POST code", any_text(event.data), false};
    case EventType::EV_EFI_HANDOFF_TABLES:
    case EventType::EV_EFI_HANDOFF_TABLES2:
      return {"SMBIOS and other tables", short_hex(event.data), false};
    case EventType::EV_PLATFORM_CONFIG_FLAGS:
      return {"platform configuration", any_text(event.data), over_data()};
    case EventType::EV_TABLE_OF_DEVICES:
      return {"table of devices", short_hex(event.data), over_data()};
    case EventType::EV_CPU_MICROCODE:
      return {"CPU microcode", any_text(event.data), over_data()};
    case EventType::EV_NONHOST_CODE:
    case EventType::EV_NONHOST_CONFIG:
    case EventType::EV_NONHOST_INFO:
      return {"non-host platform", any_text(event.data), over_data()};
    case EventType::EV_OMIT_BOOT_DEVICE_EVENTS:
      return {"boot attempts not measured", any_text(event.data), over_data()};
    case EventType::EV_EFI_SPDM_FIRMWARE_BLOB:
    case EventType::EV_EFI_SPDM_FIRMWARE_CONFIG:
      return {"device firmware (SPDM)", short_hex(event.data), false};
    case EventType::EV_PREBOOT_CERT:
    case EventType::EV_UNUSED:
    case EventType::EV_NO_ACTION:
    case EventType::EV_COMPACT_HASH:
    case EventType::EV_IPL_PARTITION_DATA:
      break;
  }
  return {to_text(event.type), any_text(event.data), over_data()};
}

}  // namespace ingot::codec
