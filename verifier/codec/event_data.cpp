// The structures inside event data, and device paths as text.
#include <fmt/format.h>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/event_text.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint64_t name_cap_units = 1024;

/// UEFI 2.10, "Device Path Nodes".
struct Node {
  std::uint8_t type = 0;
  std::uint8_t subtype = 0;
  Bytes body;
};

std::string raw_node(const Node& node) {
  return fmt::format("Path({},{},{})", node.type, node.subtype, to_hex(node.body));
}

std::string acpi_text(const Node& node) {
  constexpr std::uint32_t pci_root = 0x0A0341D0;  // EISA id PNP0A03
  Reader in{node.body};
  const std::uint32_t hid = in.u32le();
  const std::uint32_t uid = in.u32le();
  if (!in.ok()) return raw_node(node);
  return hid == pci_root ? fmt::format("PciRoot(0x{:x})", uid) : fmt::format("Acpi(0x{:08x},0x{:x})", hid, uid);
}

std::string messaging_text(const Node& node) {
  Reader in{node.body};
  switch (node.subtype) {
    case 2: {
      const auto target = in.u16le(), lun = in.u16le();
      return in.ok() ? fmt::format("Scsi(0x{:x},0x{:x})", target, lun) : raw_node(node);
    }
    case 5: {
      const auto port = in.u8(), interface = in.u8();
      return in.ok() ? fmt::format("USB(0x{:x},0x{:x})", port, interface) : raw_node(node);
    }
    case 11: {
      const Bytes address = in.bytes(6);
      return in.ok() ? fmt::format("MAC({})", to_hex(address)) : raw_node(node);
    }
    case 18: {
      const auto port = in.u16le(), multiplier = in.u16le(), lun = in.u16le();
      return in.ok() ? fmt::format("Sata(0x{:x},0x{:x},0x{:x})", port, multiplier, lun) : raw_node(node);
    }
    case 23: {
      const auto name_space = in.u32le();
      return in.ok() ? fmt::format("NVMe(0x{:x})", name_space) : raw_node(node);
    }
    case 24:
      return fmt::format("Uri({})", as_text(node.body));
  }
  return raw_node(node);
}

std::string media_text(const Node& node) {
  Reader in{node.body};
  switch (node.subtype) {
    case 1: {
      const auto number = in.u32le();
      in.skip(16);
      const Bytes signature = in.bytes(16);
      in.skip(1);
      const auto kind = in.u8();
      constexpr std::uint8_t guid_signature = 2;
      if (!in.ok() || kind != guid_signature) return raw_node(node);
      return fmt::format("HD({},GPT,{})", number, to_text(guid_from(signature)));
    }
    case 4: {
      auto path = from_utf16le(node.body);
      path.erase(std::min(path.find('\0'), path.size()));
      return path;
    }
    case 6:
    case 7:
      if (node.body.size() != 16) return raw_node(node);
      return fmt::format("{}({})", node.subtype == 6 ? "FvFile" : "Fv", to_text(guid_from(node.body)));
    case 8: {
      in.skip(4);
      const auto start = in.u64le(), end = in.u64le();
      return in.ok() ? fmt::format("Offset(0x{:x},0x{:x})", start, end) : raw_node(node);
    }
  }
  return raw_node(node);
}

std::string node_text(const Node& node) {
  switch (node.type) {
    case 1:
      if (node.subtype == 1 && node.body.size() == 2)
        return fmt::format("Pci(0x{:x},0x{:x})", node.body[1], node.body[0]);
      return raw_node(node);
    case 2:
      return node.subtype == 1 ? acpi_text(node) : raw_node(node);
    case 3:
      return messaging_text(node);
    case 4:
      return media_text(node);
  }
  return raw_node(node);
}

/// What people may see: no control characters in a line of text, whatever a hostile log holds.
void make_printable(std::string& text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
}

}  // namespace

Result<MeasuredVariable> decode_measured_variable(Bytes data) {
  Reader in{data};
  MeasuredVariable variable;
  const Bytes guid = in.bytes(16);
  if (in.ok()) variable.guid = guid_from(guid);
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

Result<ImageLoad> decode_image_load(Bytes data) {
  Reader in{data};
  ImageLoad load;
  load.location = in.u64le();
  load.length_bytes = in.u64le();
  load.link_time_address = in.u64le();
  load.device_path = to_buffer(in.bytes(in.u64le()));
  return in.finish(std::move(load));
}

std::string device_path_text(Bytes device_path) {
  constexpr std::uint8_t end_of_path = 0x7F;
  constexpr std::uint16_t node_header = 4;
  std::string text;
  Reader in{device_path};
  while (in.left() > 0) {
    Node node;
    node.type = in.u8();
    node.subtype = in.u8();
    const std::uint16_t length = in.u16le();
    if (!in.ok() || length < node_header) return to_hex(device_path);
    node.body = in.bytes(length - node_header);
    if (!in.ok()) return to_hex(device_path);
    if (node.type == end_of_path) break;
    text += (text.empty() ? "" : "/") + node_text(node);
  }
  make_printable(text);
  return text;
}

}  // namespace ingot::codec
