// An event's data as JSON, member by member.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ingot/base/reader.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/crypto/certificate.hpp"

namespace ingot::codec {
namespace {

using Json = nlohmann::json;

/// The structure's name, and its members or the error that says why there are none.
struct Structure {
  const char* name = nullptr;
  Result<Json> members = Json();
};

template <typename T, typename Render>
Structure structure(const char* name, const Result<T>& decoded, Render render) {
  if (!decoded) return {name, fail(decoded.error())};
  return {name, render(*decoded)};
}

Json path_json(Bytes device_path) { return {{"text", device_path_text(device_path)}, {"raw", to_hex(device_path)}}; }

Json certificate_json(Bytes der) {
  const auto certificate = crypto::Certificate::from_der(der);
  return certificate ? Json{{"subject", certificate->subject()}} : Json{{"raw", to_hex(der)}};
}

Json signature_json(const Guid& type, const SignatureData& signature) {
  Json out = type == efi_cert_x509_guid ? certificate_json(signature.data) : Json{{"digest", to_hex(signature.data)}};
  out["owner"] = to_text(signature.owner);
  return out;
}

Result<Json> signature_lists_json(Bytes data) {
  auto out = Json::array();
  for (const auto& list : TRY(decode_signature_lists(data))) {
    auto signatures = Json::array();
    for (const auto& signature : list.signatures) signatures.push_back(signature_json(list.type, signature));
    out.push_back({{"type", to_text(list.type)}, {"signatures", signatures}});
  }
  return out;
}

Json load_option_json(const LoadOption& option) {
  constexpr std::uint32_t active = 1;
  return {{"description", option.description},
          {"active", (option.attributes & active) != 0},
          {"device_path", path_json(option.device_path)},
          {"optional_data", to_hex(option.optional_data)}};
}

Result<Json> boot_order_json(Bytes data) {
  Reader in{data};
  auto out = Json::array();
  while (in.ok() && in.left() > 0) out.push_back(fmt::format("Boot{:04X}", in.u16le()));
  return in.finish(std::move(out));
}

/// Members that follow from the variable's name.
Result<Json> variable_content_json(const MeasuredVariable& variable) {
  if (is_signature_database(variable.name)) {
    Json lists = TRY(signature_lists_json(variable.data));
    return Json{{"signature_lists", std::move(lists)}};
  }
  if (variable.name == "SecureBoot" && variable.data.size() == 1) return Json{{"enabled", variable.data[0] == 1}};
  if (variable.name == "BootOrder") {
    Json order = TRY(boot_order_json(variable.data));
    return Json{{"order", std::move(order)}};
  }
  if (is_boot_entry(variable.name)) {
    const auto option = TRY(decode_load_option(variable.data));
    return Json{{"load_option", load_option_json(option)}};
  }
  return Json{{"raw", to_hex(variable.data)}};
}

Structure variable_structure(Bytes data) {
  const auto variable = decode_measured_variable(data);
  if (!variable) return {"variable", fail(variable.error())};
  auto content = variable_content_json(*variable);
  if (!content) return {"variable", fail(std::move(content).error().in(variable->name))};
  (*content)["name"] = variable->name;
  (*content)["guid"] = to_text(variable->guid);
  (*content)["size_bytes"] = variable->data.size();
  return {"variable", std::move(content)};
}

Structure authority_structure(Bytes data) {
  return structure("authority", decode_measured_variable(data), [](const MeasuredVariable& variable) {
    constexpr std::size_t guid_size = 16;
    Json out{{"name", variable.name}, {"guid", to_text(variable.guid)}, {"size_bytes", variable.data.size()}};
    const Bytes content = variable.data;
    // EFI_SIGNATURE_DATA from firmware; shim logs a bare certificate or a text.
    if (content.size() > guid_size && crypto::Certificate::from_der(content.subspan(guid_size))) {
      out.update(certificate_json(content.subspan(guid_size)));
      out["owner"] = to_text(guid_from(content.first(guid_size)));
    } else {
      out.update(certificate_json(content));
    }
    return out;
  });
}

Json image_json(const ImageLoad& image) {
  return {{"location", image.location},
          {"length_bytes", image.length_bytes},
          {"link_time_address", image.link_time_address},
          {"device_path", path_json(image.device_path)}};
}

Json blob_json(const FirmwareBlob& blob) {
  return {{"description", as_text(blob.description)}, {"base", blob.base}, {"length_bytes", blob.length_bytes}};
}

Json tables_json(const HandoffTables& tables) {
  auto list = Json::array();
  for (const auto& table : tables.tables)
    list.push_back({{"vendor", to_text(table.vendor)}, {"address", table.address}});
  return {{"description", as_text(tables.description)}, {"tables", list}};
}

Json gpt_json(const MeasuredGpt& gpt) {
  auto partitions = Json::array();
  for (const auto& partition : gpt.partitions)
    partitions.push_back({{"name", partition.name},
                          {"type", to_text(partition.type)},
                          {"unique", to_text(partition.unique)},
                          {"first_lba", partition.first_lba},
                          {"last_lba", partition.last_lba},
                          {"attributes", partition.attributes}});
  return {{"disk", to_text(gpt.disk)}, {"partitions", partitions}};
}

Json tagged_json(const TaggedEvent& event) { return {{"id", event.id}, {"raw", to_hex(event.data)}}; }

Json device_json(const DeviceSecurity& device) {
  return {{"version", device.version},         {"auth_state", device.auth_state},
          {"device_type", device.device_type}, {"measurement", to_hex(device.measurement)},
          {"context", to_hex(device.context)}, {"device_path", path_json(device.device_path)}};
}

/// EV_NO_ACTION holds several structures, told apart by a signature of 16 bytes.
Structure no_action_structure(Bytes data) {
  constexpr std::size_t signature_size = 16;
  const auto is = [&](std::string_view signature) {
    return data.size() >= signature_size &&
           as_text(data.first(signature_size)).substr(0, signature.size()) == signature;
  };
  Reader in{data};
  in.skip(signature_size);
  if (is("StartupLocality")) {
    const Json locality{{"locality", in.u8()}};
    return {"startup_locality", in.finish(locality)};
  }
  // TCG_NV_Index_Instance_EVENT_LOG_DATA, TCG_NV_Index_DYNAMIC_EVENT_LOG_DATA: version, reserved, UID, descriptor,
  // data.
  if (is("NvIndexInstance") || is("NvIndexDynamic")) {
    const auto version = in.u16le();
    in.skip(6);
    const Json index{{"version", version}, {"raw", to_hex(in.rest())}};
    return {"nv_index", in.finish(index)};
  }
  // TCG_Sp800_155_PlatformId_Event: platform manufacturer and reference manifest.
  if (is("SP800-155 Event")) {
    const auto vendor = in.u32le();
    const Bytes guid = in.bytes(16);
    if (!in.ok()) return {"reference_manifest", fail(in.error())};
    return {"reference_manifest",
            Json{{"vendor_id", vendor}, {"guid", to_text(guid_from(guid))}, {"raw", to_hex(in.rest())}}};
  }
  return {"raw", Json(to_hex(data))};
}

Structure structure_of(const Event& event) {
  switch (event.type) {
    case EventType::EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EventType::EV_EFI_VARIABLE_BOOT:
    case EventType::EV_EFI_VARIABLE_BOOT2:
    case EventType::EV_EFI_SPDM_DEVICE_POLICY:
      return variable_structure(event.data);
    case EventType::EV_EFI_VARIABLE_AUTHORITY:
    case EventType::EV_EFI_SPDM_DEVICE_AUTHORITY:
      return authority_structure(event.data);
    case EventType::EV_EFI_BOOT_SERVICES_APPLICATION:
    case EventType::EV_EFI_BOOT_SERVICES_DRIVER:
    case EventType::EV_EFI_RUNTIME_SERVICES_DRIVER:
      return structure("image", decode_image_load(event.data), image_json);
    case EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB:
      return structure("firmware_blob", decode_firmware_blob(event.data, false), blob_json);
    case EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB2:
      return structure("firmware_blob", decode_firmware_blob(event.data, true), blob_json);
    case EventType::EV_EFI_HANDOFF_TABLES:
      return structure("handoff_tables", decode_handoff_tables(event.data, false), tables_json);
    case EventType::EV_EFI_HANDOFF_TABLES2:
      return structure("handoff_tables", decode_handoff_tables(event.data, true), tables_json);
    case EventType::EV_EFI_GPT_EVENT:
    case EventType::EV_EFI_GPT_EVENT2:
      return structure("gpt", decode_measured_gpt(event.data), gpt_json);
    case EventType::EV_EVENT_TAG:
      return structure("tagged", decode_tagged_event(event.data), tagged_json);
    case EventType::EV_EFI_SPDM_FIRMWARE_BLOB:
    case EventType::EV_EFI_SPDM_FIRMWARE_CONFIG:
      return structure("device_security", decode_device_security(event.data), device_json);
    case EventType::EV_NO_ACTION:
      return no_action_structure(event.data);
    default:
      return {"raw", Json(to_hex(event.data))};
  }
}

}  // namespace

nlohmann::json event_data_json(const Event& event) {
  const auto described = describe_event(event);
  Json out{{"component", described.component}, {"text", described.text}, {"vouched", described.vouched}};
  auto [name, members] = structure_of(event);
  if (members) {
    out[name] = *std::move(members);
  } else {
    out["invalid"] = fmt::format("{}: {}", name, describe(members.error()));
    out["raw"] = to_hex(event.data);
  }
  return out;
}

}  // namespace ingot::codec
