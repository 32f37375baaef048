// What a measured event's data says, for people. TCG PC Client Platform Firmware Profile 1.06, "Event Descriptions".
#pragma once

#include <string>

#include "ingot/codec/gpt.hpp"
#include "ingot/model/event.hpp"

namespace ingot::codec {

/// An event's type and data are untrusted: only digests are measured. `vouched` says that every digest was recomputed
/// from the data (or from the text in it), so that `text` is as good as the digest.
struct EventText {
  std::string component;  ///< "PK", "Boot0001", "CRTM version", "option ROM", ".cmdline"
  std::string text;       ///< may be empty
  bool vouched = false;
  bool operator==(const EventText&) const = default;
};
/// Never fails: data that do not follow their type give a hexadecimal text.
EventText describe_event(const Event& event);

/// "disk 0123...: esp (EFI system), root (...)".
std::string describe_gpt(const Guid& disk, const std::vector<GptPartition>& partitions);

/// "CN=...; CN=...; 3 digests", "empty".
std::string describe_signature_lists(Bytes data);

/// UEFI_VARIABLE_DATA, which firmware measures for variables.
struct MeasuredVariable {
  Guid guid;
  std::string name;
  Buffer data;
  bool operator==(const MeasuredVariable&) const = default;
};
Result<MeasuredVariable> decode_measured_variable(Bytes data);
Buffer encode_measured_variable(const MeasuredVariable& variable);

/// UEFI_IMAGE_LOAD_EVENT; the device path stays raw.
struct ImageLoad {
  std::uint64_t location = 0;
  std::uint64_t length_bytes = 0;
  std::uint64_t link_time_address = 0;
  Buffer device_path;
  bool operator==(const ImageLoad&) const = default;
};
Result<ImageLoad> decode_image_load(Bytes data);
/// The text form of a device path (UEFI 2.10, "Device Path Display Format Overview"); hexadecimal when it has none.
std::string device_path_text(Bytes device_path);

}  // namespace ingot::codec
