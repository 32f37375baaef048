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
constexpr std::uint32_t loader_conf_tag = 0xF5BC582A;  // systemd, src/fundamental/tpm2-pcr.h

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

std::string load_option_text(Bytes data) {
  const auto option = decode_load_option(data);
  if (!option) return short_hex(data);
  return fmt::format("{}: {}", any_text(to_utf16le(option->description)), device_path_text(option->device_path));
}

std::string boot_order_text(Bytes data) {
  std::string text;
  Reader in{data};
  while (in.left() >= 2) text += fmt::format("{}{:04X}", text.empty() ? "" : ",", in.u16le());
  return text;
}

std::string variable_text(const MeasuredVariable& variable) {
  if (is_signature_database(variable.name)) return describe_signature_lists(variable.data);
  if (variable.name == "SecureBoot" && variable.data.size() == 1) return variable.data[0] == 1 ? "on" : "off";
  if (variable.name == "BootOrder") return boot_order_text(variable.data);
  if (is_boot_entry(variable.name)) return load_option_text(variable.data);
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
  // Not an authority, but measured as one: the revocations that shim obeys, lines of text.
  if (variable->name == "SbatLevel") {
    std::string lines(as_text(variable->data));
    std::replace(lines.begin(), lines.end(), '\n', ' ');
    while (lines.ends_with(' ')) lines.pop_back();
    return {"SbatLevel", any_text(as_bytes(lines)), is_digest_of(event, event.data)};
  }
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

std::string table_name(const Guid& vendor) {
  // UEFI 2.10, "EFI Configuration Table & Properties Table".
  static const std::map<Guid, std::string_view> names = {
      {make_guid("eb9d2d31-2d88-11d3-9a16-0090273fc14d"), "SMBIOS"},
      {make_guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394"), "SMBIOS 3"},
      {make_guid("8868e871-e4f1-11d3-bc22-0080c73c8881"), "ACPI 2.0"},
      {make_guid("eb9d2d30-2d88-11d3-9a16-0090273fc14d"), "ACPI 1.0"}};
  const auto found = names.find(vendor);
  return found == names.end() ? to_text(vendor) : std::string(found->second);
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

EventText describe_firmware(const Event& event) {
  const auto blob = decode_firmware_blob(event.data, event.type == EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2);
  if (!blob) return {"firmware volume", any_text(event.data), false};
  const std::string description = blob->description.empty() ? "" : any_text(blob->description);
  std::string name = volume_name(description);
  // Older OVMF gives no names; its memory map does (OvmfPkg/Include/Fdf/OvmfPkgDefines.fdf.inc, MEMFD).
  if (name.empty() && description.empty())
    name = blob->base == 0x820000 ? "PEIFV" : blob->base == 0x900000 ? "DXEFV" : "";
  return {name.empty() ? "firmware volume" : name,
          fmt::format("{}{}{} bytes at 0x{:x}", description, description.empty() ? "" : ", ", blob->length_bytes,
                      blob->base),
          false};
}

EventText describe_gpt_event(const Event& event) {
  const auto gpt = decode_measured_gpt(event.data);
  if (!gpt) return {"GPT", short_hex(event.data), false};
  return {"GPT", describe_gpt(gpt->disk, gpt->partitions), is_digest_of(event, event.data)};
}

/// EV_EFI_HANDOFF_TABLES: pointers only; what they point to was hashed.
EventText describe_tables(const Event& event) {
  const auto tables = decode_handoff_tables(event.data, event.type == EventType::EV_EFI_HANDOFF_TABLES2);
  if (!tables) return {"SMBIOS and other tables", short_hex(event.data), false};
  std::string text = tables->description.empty() ? "" : any_text(tables->description);
  for (const auto& table : tables->tables)
    text += fmt::format("{}{} at 0x{:x}", text.empty() ? "" : ", ", table_name(table.vendor), table.address);
  return {"SMBIOS and other tables", text, false};
}

/// What a device said of its firmware; the SPDM measurement block is what was hashed.
EventText describe_device(const Event& event) {
  const auto device = decode_device_security(event.data);
  if (!device) return {"device firmware (SPDM)", short_hex(event.data), false};
  return {"device firmware (SPDM)", device_path_text(device->device_path), is_digest_of(event, event.data)};
}

EventText describe_tagged(const Event& event) {
  const auto tagged = decode_tagged_event(event.data);
  if (!tagged) return {"tagged event", short_hex(event.data), false};
  if (tagged->id == load_options_tag && event.pcr == 9) return {"load options", {}, false};
  if (tagged->id == initrd_tag && event.pcr == 9) return {"initrd", {}, false};
  if (tagged->id == loader_conf_tag && event.pcr == 5) return {"loader.conf", {}, false};
  return {fmt::format("tagged event 0x{:08x}", tagged->id), any_text(tagged->data), is_digest_of(event, tagged->data)};
}

/// EV_IPL: systemd-stub names sections of PCR 11 in UTF-16; systemd-pcrextend names phases, shim its variables.
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
  // shim logs the name of a variable of its own; what was hashed are the variable's data.
  if (event.pcr == 14) return {*narrow, {}, false};
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
      return describe_tables(event);
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
      return describe_device(event);
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
