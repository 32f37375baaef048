// The structures inside measured events' data. TCG PC Client Platform Firmware Profile 1.06, "Event Descriptions". All
// decoders refuse trailing bytes: errors (malformed) tell the byte.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/guid.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/model/event.hpp"

namespace ingot::codec {

/// An event's data is untrusted: only digests are measured. True when every digest that can be computed is the one over
/// `bytes`, and there is one.
bool is_digest_of(const Event& event, Bytes bytes);

/// UEFI_VARIABLE_DATA, which firmware measures for variables.
struct MeasuredVariable {
  Guid guid;
  std::string name;
  Buffer data;
  bool operator==(const MeasuredVariable&) const = default;
};
Result<MeasuredVariable> decode_measured_variable(Bytes data);
Buffer encode_measured_variable(const MeasuredVariable& variable);
/// "Boot0001": UEFI 2.10, "Globally Defined Variables".
bool is_boot_entry(std::string_view variable_name);
/// PK, KEK, db, dbx, dbt and dbr hold signature lists.
bool is_signature_database(std::string_view variable_name);

/// EFI_LOAD_OPTION (UEFI 2.10, "Load Options"): the content of a Boot#### variable.
struct LoadOption {
  std::uint32_t attributes = 0;  ///< bit 0: active
  std::string description;
  Buffer device_path;    ///< EFI_DEVICE_PATH_PROTOCOL[], raw
  Buffer optional_data;  ///< what is handed to the image
  bool operator==(const LoadOption&) const = default;
};
Result<LoadOption> decode_load_option(Bytes data);
Buffer encode_load_option(const LoadOption& option);

/// UEFI_IMAGE_LOAD_EVENT; the device path stays raw.
struct ImageLoad {
  std::uint64_t location = 0;
  std::uint64_t length_bytes = 0;
  std::uint64_t link_time_address = 0;
  Buffer device_path;
  bool operator==(const ImageLoad&) const = default;
};
Result<ImageLoad> decode_image_load(Bytes data);

/// UEFI_PLATFORM_FIRMWARE_BLOB, and UEFI_PLATFORM_FIRMWARE_BLOB2 with a description in front.
struct FirmwareBlob {
  Buffer description;  ///< BLOB2 only: text that nobody checks
  std::uint64_t base = 0;
  std::uint64_t length_bytes = 0;
  bool operator==(const FirmwareBlob&) const = default;
};
Result<FirmwareBlob> decode_firmware_blob(Bytes data, bool described);

/// UEFI_HANDOFF_TABLE_POINTERS, and ..._POINTERS2 with a description in front.
struct HandoffTables {
  struct Table {
    Guid vendor;  ///< of an EFI_CONFIGURATION_TABLE: SMBIOS, ACPI
    std::uint64_t address = 0;
    bool operator==(const Table&) const = default;
  };
  Buffer description;
  std::vector<Table> tables;
  bool operator==(const HandoffTables&) const = default;
};
Result<HandoffTables> decode_handoff_tables(Bytes data, bool described);

/// UEFI_GPT_DATA: what firmware saw of the partition table.
struct MeasuredGpt {
  Guid disk;
  std::uint64_t first_usable_lba = 0;
  std::uint64_t last_usable_lba = 0;
  std::vector<GptPartition> partitions;
  bool operator==(const MeasuredGpt&) const = default;
};
Result<MeasuredGpt> decode_measured_gpt(Bytes data);

/// TCG_PCClientTaggedEvent.
struct TaggedEvent {
  std::uint32_t id = 0;
  Buffer data;
  bool operator==(const TaggedEvent&) const = default;
};
Result<TaggedEvent> decode_tagged_event(Bytes data);
inline constexpr std::uint32_t load_options_tag = 0x8F3B22ED;  ///< Linux, drivers/firmware/efi/libstub/efistub.h
inline constexpr std::uint32_t initrd_tag = 0x8F3B22EC;

/// TCG_DEVICE_SECURITY_EVENT_DATA and ..._DATA2: what a device said of itself over SPDM.
struct DeviceSecurity {
  std::uint16_t version = 1;      ///< 1: "SPDM Device Sec", 2: "SPDM Device Sec2"
  std::uint8_t auth_state = 0;    ///< version 2: 0 success, 1 no authority, 2 no binding, 3 no signature, 4 no SPDM
  std::uint32_t device_type = 0;  ///< 0 none, 1 PCI, 2 USB
  Buffer measurement;             ///< SPDM measurement block, or version 2's sub-header's body
  Buffer device_path;
  Buffer context;  ///< TCG_DEVICE_SECURITY_EVENT_DATA_PCI_CONTEXT or ..._USB_CONTEXT
  bool operator==(const DeviceSecurity&) const = default;
};
Result<DeviceSecurity> decode_device_security(Bytes data);

/// The text form of a device path: well-known nodes by ourselves, others through efivar; hexadecimal when its nodes do
/// not add up.
std::string device_path_text(Bytes device_path);

}  // namespace ingot::codec
