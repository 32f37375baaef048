#include "ingot/codec/event_data.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gpt_entry.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint64_t name_cap_units = 1024;
constexpr std::uint64_t table_cap = 1024;
constexpr std::uint64_t partition_cap = 1024;

Guid read_guid(Reader& in) {
  const Bytes bytes = in.bytes(16);
  return in.ok() ? guid_from(bytes) : Guid{};
}

Buffer read_description(Reader& in, bool described) { return described ? to_buffer(in.bytes(in.u8())) : Buffer{}; }

}  // namespace

bool is_digest_of(const Event& event, Bytes bytes) {
  bool any = false;
  for (const auto& [alg, digest] : event.digests) {
    if (digest_size_bytes(alg) == 0) continue;
    if (crypto::hash(alg, bytes) != digest) return false;
    any = true;
  }
  return any;
}

bool is_boot_entry(std::string_view variable_name) {
  constexpr std::string_view prefix = "Boot";
  return variable_name.size() == 8 && variable_name.starts_with(prefix) &&
         variable_name.find_first_not_of("0123456789ABCDEFabcdef", prefix.size()) == variable_name.npos;
}

bool is_signature_database(std::string_view variable_name) {
  constexpr std::string_view names[] = {"PK", "KEK", "db", "dbx", "dbt", "dbr"};
  return std::find(std::begin(names), std::end(names), variable_name) != std::end(names);
}

Result<MeasuredVariable> decode_measured_variable(Bytes data) {
  Reader in{data};
  MeasuredVariable variable;
  variable.guid = read_guid(in);
  const std::uint64_t units = in.u64le();
  const std::uint64_t size = in.u64le();
  if (in.ok() && units > name_cap_units) in.fail_with(fmt::format("a variable name of {} characters", units));
  variable.name = from_utf16le(in.bytes(in.ok() ? units * 2 : 0));
  variable.data = to_buffer(in.bytes(size));
  return in.finish(std::move(variable));
}

Buffer encode_measured_variable(const MeasuredVariable& variable) {
  const auto name = to_utf16le(variable.name);
  return Writer{}
      .bytes(variable.guid.bytes)
      .u64le(name.size() / 2)
      .u64le(variable.data.size())
      .bytes(name)
      .bytes(variable.data)
      .take();
}

Result<LoadOption> decode_load_option(Bytes data) {
  Reader in{data};
  LoadOption option;
  option.attributes = in.u32le();
  const std::uint16_t paths_size = in.u16le();
  Buffer description;
  for (std::uint16_t unit = in.u16le(); in.ok() && unit != 0; unit = in.u16le()) {
    description.push_back(static_cast<std::uint8_t>(unit));
    description.push_back(static_cast<std::uint8_t>(unit >> 8));
  }
  option.description = from_utf16le(description);
  option.device_path = to_buffer(in.bytes(paths_size));
  if (in.ok()) option.optional_data = to_buffer(in.rest());
  return in.finish(std::move(option));
}

Buffer encode_load_option(const LoadOption& option) {
  return Writer{}
      .u32le(option.attributes)
      .u16le(static_cast<std::uint16_t>(option.device_path.size()))
      .bytes(to_utf16le(option.description))
      .u16le(0)
      .bytes(option.device_path)
      .bytes(option.optional_data)
      .take();
}

Result<ImageLoad> decode_image_load(Bytes data) {
  Reader in{data};
  ImageLoad load;
  load.location = in.u64le();
  load.length_bytes = in.u64le();
  load.link_time_address = in.u64le();
  load.device_path = to_buffer(in.bytes(in.u64le()));
  return in.finish(std::move(load));
}

Result<FirmwareBlob> decode_firmware_blob(Bytes data, bool described) {
  Reader in{data};
  FirmwareBlob blob;
  blob.description = read_description(in, described);
  blob.base = in.u64le();
  blob.length_bytes = in.u64le();
  return in.finish(std::move(blob));
}

Result<HandoffTables> decode_handoff_tables(Bytes data, bool described) {
  Reader in{data};
  HandoffTables tables;
  tables.description = read_description(in, described);
  const std::uint64_t count = in.u64le();
  if (in.ok() && count > table_cap) in.fail_with(fmt::format("{} tables", count));
  for (std::uint64_t i = 0; in.ok() && i < count; ++i) {
    const Guid vendor = read_guid(in);
    tables.tables.push_back({vendor, in.u64le()});
  }
  return in.finish(std::move(tables));
}

Result<MeasuredGpt> decode_measured_gpt(Bytes data) {
  // The 92 bytes of the header, the number of entries, the entries (UEFI_GPT_DATA).
  Reader in{data};
  MeasuredGpt gpt;
  in.skip(40);
  gpt.first_usable_lba = in.u64le();
  gpt.last_usable_lba = in.u64le();
  gpt.disk = read_guid(in);
  in.skip(20);
  const std::uint64_t count = in.u64le();
  if (in.ok() && count > partition_cap) in.fail_with(fmt::format("{} partitions", count));
  for (std::uint64_t i = 0; in.ok() && i < count; ++i) {
    const Bytes entry = in.bytes(gpt_entry_size_bytes);
    if (in.ok()) gpt.partitions.push_back(decode_gpt_entry(entry));
  }
  return in.finish(std::move(gpt));
}

Result<TaggedEvent> decode_tagged_event(Bytes data) {
  Reader in{data};
  TaggedEvent event;
  event.id = in.u32le();
  event.data = to_buffer(in.bytes(in.u32le()));
  return in.finish(std::move(event));
}

Result<DeviceSecurity> decode_device_security(Bytes data) {
  constexpr std::string_view first{"SPDM Device Sec\0", 16}, second{"SPDM Device Sec2", 16};
  Reader in{data};
  DeviceSecurity device;
  const auto signature = as_text(in.bytes(16));
  device.version = in.u16le();
  if (in.ok() && !((signature == first && device.version == 1) || (signature == second && device.version == 2)))
    in.fail_with("neither \"SPDM Device Sec\" of version 1 nor \"SPDM Device Sec2\" of version 2");
  if (device.version == 1) {
    in.skip(2 + 4);  // length of the whole, SPDM hash algorithm
    device.device_type = in.u32le();
    // SPDM measurement block (DSP0274, "Measurement block format"): index, specification, size, measurement.
    const std::size_t start = in.at();
    in.skip(2);
    in.skip(in.u16le());
    if (in.ok()) device.measurement = to_buffer(data.subspan(start, in.at() - start));
    device.device_path = to_buffer(in.bytes(in.u64le()));
  } else {
    device.auth_state = in.u8();
    in.skip(1 + 4);  // reserved, length of the whole
    device.device_type = in.u32le();
    in.skip(4);  // kind of the sub-header
    const std::uint32_t sub_header_size = in.u32le();
    in.skip(8);  // UID of the sub-header
    device.device_path = to_buffer(in.bytes(in.u64le()));
    device.measurement = to_buffer(in.bytes(sub_header_size));
  }
  if (in.ok()) device.context = to_buffer(in.rest());
  return in.finish(std::move(device));
}

}  // namespace ingot::codec
