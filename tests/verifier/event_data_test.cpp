#include "ingot/codec/event_data.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "decoder_checks.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/event_text.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

const Buffer path = parse_hex("02010c00d041030a0000000001010600020a7fff0400").value();

template <typename T>
bool has_value(const Result<T>& result) {
  return result.has_value();
}

/// TCG_DEVICE_SECURITY_EVENT_DATA, its measurement block of 3 bytes.
Writer device_security_1() {
  Writer out;
  out.text(std::string_view("SPDM Device Sec\0", 16)).u16le(1).u16le(0).u32le(2).u32le(1);
  out.u8(1).u8(1).u16le(3).bytes(Buffer{7, 8, 9});
  return out.u64le(path.size()).bytes(path);
}

Writer device_security_2() {
  Writer out;
  out.text("SPDM Device Sec2").u16le(2).u8(0).u8(0).u32le(0).u32le(1).u32le(0).u32le(2).u64le(5);
  return out.u64le(path.size()).bytes(path).bytes(Buffer{7, 8});
}

std::string invalid(EventType type, Bytes data) {
  const auto json = event_data_json({1, type, {}, to_buffer(data)});
  return json.contains("invalid") ? json["invalid"].get<std::string>() : "";
}

}  // namespace

TEST_CASE("event data: no structure is taken in part, or with something behind it") {
  const auto tables = Writer{}.u64le(1).fill(16, 3).u64le(0x1000).take();
  test::rejects_every_prefix(tables, [](Bytes data) { return has_value(decode_handoff_tables(data, false)); });
  const auto described = Writer{}.u8(5).text("Smbio").bytes(tables).take();
  test::rejects_every_prefix(described, [](Bytes data) { return has_value(decode_handoff_tables(data, true)); });
  const auto blob = Writer{}.u8(2).text("FV").u64le(0x820000).u64le(4096).take();
  test::rejects_every_prefix(blob, [](Bytes data) { return has_value(decode_firmware_blob(data, true)); });
  const auto tagged = Writer{}.u32le(load_options_tag).u32le(3).fill(3, 1).take();
  test::rejects_every_prefix(tagged, [](Bytes data) { return has_value(decode_tagged_event(data)); });
  const auto gpt = Writer{}.fill(92, 1).u64le(1).fill(128, 2).take();
  test::rejects_every_prefix(gpt, [](Bytes data) { return has_value(decode_measured_gpt(data)); });
  test::rejects_every_prefix(device_security_1().view(),
                             [](Bytes data) { return has_value(decode_device_security(data)); });
  test::rejects_every_prefix(device_security_2().view(),
                             [](Bytes data) { return has_value(decode_device_security(data)); });
  for (auto whole : {blob, tagged, gpt}) {
    whole.push_back(0);
    CHECK_FALSE(decode_firmware_blob(whole, true));
    CHECK_FALSE(decode_tagged_event(whole));
    CHECK_FALSE(decode_measured_gpt(whole));
  }
}

TEST_CASE("event data: counts that no memory holds are refused before anything is kept") {
  const auto huge = Writer{}.u64le(~std::uint64_t{0}).fill(64).take();
  CHECK_FALSE(decode_handoff_tables(huge, false));
  CHECK_FALSE(decode_measured_gpt(Writer{}.fill(92).bytes(huge).take()));
  CHECK_FALSE(decode_measured_variable(Writer{}.fill(16).bytes(huge).take()));
  CHECK_FALSE(decode_image_load(Writer{}.fill(24).bytes(huge).take()));
}

TEST_CASE("event data: both versions of a device's SPDM event give path, measurement and context") {
  auto context = Writer{}.u16le(1).u16le(16).u16le(0x10DE).u16le(0x2330).take();
  const auto first = decode_device_security(device_security_1().bytes(context).take()).value();
  CHECK(first.measurement == Buffer{1, 1, 3, 0, 7, 8, 9});
  CHECK(first.device_path == path);
  CHECK(first.context == context);
  const auto second = decode_device_security(device_security_2().bytes(context).take()).value();
  CHECK(second.version == 2);
  CHECK(second.measurement == Buffer{7, 8});
  CHECK(second.context == context);
}

TEST_CASE("event data: a load option survives, and its path is told in words") {
  const LoadOption option{1, "Ingot", path, {1, 2}};
  CHECK(decode_load_option(encode_load_option(option)).value() == option);
  const auto data = encode_measured_variable({Guid{}, "Boot0007", encode_load_option(option)});
  const auto json = event_data_json({1, EventType::EV_EFI_VARIABLE_BOOT2, {}, data});
  CHECK(json["variable"]["load_option"]["device_path"]["text"] == "PciRoot(0x0)/Pci(0xa,0x2)");
  CHECK(json["variable"]["load_option"]["active"] == true);
  CHECK(json["variable"]["load_option"]["optional_data"] == "0102");
}

TEST_CASE("device path: nodes of rarer kinds are told by efivar, and short ones do not harm it") {
  CHECK(device_path_text(parse_hex("0314060064007fff0400").value()) == "Vlan(100)");
  for (unsigned type = 1; type <= 5; ++type)
    for (unsigned subtype = 0; subtype < 40; ++subtype)
      for (std::size_t size = 0; size < 24; ++size) {
        const auto node = Writer{}
                              .u8(static_cast<std::uint8_t>(type))
                              .u8(static_cast<std::uint8_t>(subtype))
                              .u16le(static_cast<std::uint16_t>(size + 4))
                              .fill(size, 0xFF)
                              .bytes(Buffer{0x7F, 0xFF, 4, 0})
                              .take();
        const auto text = device_path_text(node);
        for (const char c : text) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
      }
  CHECK(device_path_text(parse_hex("01010300").value()) == "01010300");  // a node shorter than its header
}

TEST_CASE("event data: what does not follow its type is marked, and the rest is told") {
  CHECK(invalid(EventType::EV_EFI_GPT_EVENT, Buffer(91)).starts_with("gpt: "));
  CHECK(invalid(EventType::EV_EFI_VARIABLE_BOOT, Buffer(3)).find("at byte 0") != std::string::npos);
  CHECK(invalid(EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, Buffer(17)).find("at byte 16") != std::string::npos);
  CHECK(invalid(EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB, Buffer(16)).empty());
  CHECK(invalid(EventType::EV_SEPARATOR, Buffer(4)).empty());
  // A variable whose frame is sound and whose content is not.
  const auto db = encode_measured_variable({Guid{}, "db", Buffer(5, 1)});
  CHECK(invalid(EventType::EV_EFI_VARIABLE_DRIVER_CONFIG, db).find("db") != std::string::npos);
}
