// Device paths as text. UEFI 2.10, "Device Path Nodes" and "Device Path Display Format Overview".
extern "C" {
#include <efivar/efivar.h>
}
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ingot/base/guid.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/event_data.hpp"

namespace ingot::codec {
namespace {

/// UEFI 2.10, "Device Path Nodes".
struct Node {
  std::uint8_t type = 0;
  std::uint8_t subtype = 0;
  Bytes body;
};

std::string raw_node(const Node& node) {
  return fmt::format("Path({},{},{})", node.type, node.subtype, to_hex(node.body));
}

/// Nodes of rarer kinds, by efivar. It trusts a node's type about the node's length, and never returns from some kinds
/// (USB class): so it gets the kinds of one fixed length that it was seen to tell, with that length only.
std::string efivar_text(const Node& node) {
  struct Kind {
    std::uint8_t type, subtype;
    std::size_t size_bytes;
  };
  constexpr Kind told[] = {{1, 2, 1},  {1, 5, 4},  {1, 6, 9},  {2, 3, 4},  {3, 1, 4},  {3, 9, 44}, {3, 14, 15},
                           {3, 20, 2}, {3, 25, 2}, {3, 26, 1}, {3, 29, 1}, {4, 2, 20}, {4, 5, 16}};
  if (std::none_of(std::begin(told), std::end(told), [&](const Kind& kind) {
        return kind.type == node.type && kind.subtype == node.subtype && kind.size_bytes == node.body.size();
      }))
    return raw_node(node);
  const auto copy = Writer{}
                        .u8(node.type)
                        .u8(node.subtype)
                        .u16le(static_cast<std::uint16_t>(node.body.size() + 4))
                        .bytes(node.body)
                        .bytes(Buffer{0x7F, 0xFF, 4, 0})
                        .take();
  std::array<char, 512> text{};
  const auto length = efidp_format_device_path(text.data(), text.size(),
                                               static_cast<const_efidp>(static_cast<const void*>(copy.data())),
                                               static_cast<ssize_t>(copy.size()));
  if (length <= 0 || static_cast<std::size_t>(length) > text.size()) return raw_node(node);
  return {text.data()};
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
    case 12: {
      in.skip(4);  // our own address
      const Bytes remote = in.bytes(4);
      return in.ok() ? fmt::format("IPv4({}.{}.{}.{})", remote[0], remote[1], remote[2], remote[3]) : raw_node(node);
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
  return efivar_text(node);
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
  return efivar_text(node);
}

std::string node_text(const Node& node) {
  switch (node.type) {
    case 1:
      if (node.subtype == 1 && node.body.size() == 2)
        return fmt::format("Pci(0x{:x},0x{:x})", node.body[1], node.body[0]);
      return efivar_text(node);
    case 2:
      return node.subtype == 1 ? acpi_text(node) : efivar_text(node);
    case 3:
      return messaging_text(node);
    case 4:
      return media_text(node);
  }
  return efivar_text(node);
}

/// What people may see: no control characters in a line of text, whatever a hostile log holds.
void make_printable(std::string& text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
}

}  // namespace

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
