// What a measured event's data says, for people. TCG PC Client Platform Firmware Profile 1.06, "Event Descriptions".
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "ingot/codec/event_data.hpp"

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

/// What the data holds, member by member, as its type says: {"component", "text", "vouched", "variable": {...}}. Data
/// that do not follow their type get a member "invalid" with the reason and the byte.
nlohmann::json event_data_json(const Event& event);

/// "disk 0123...: esp (EFI system), root (...)".
std::string describe_gpt(const Guid& disk, const std::vector<GptPartition>& partitions);

/// "CN=...; CN=...; 3 digests", "empty".
std::string describe_signature_lists(Bytes data);

}  // namespace ingot::codec
