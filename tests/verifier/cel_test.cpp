#include "ingot/codec/cel.hpp"

#include <catch2/catch.hpp>
#include <limits>

#include "decoder_checks.hpp"
#include "ima_entry.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

std::vector<CelRecord> records() {
  const auto ima = test::ima_entry("ima-ng", "/usr/bin/ls", Buffer(32, 3));
  const Digests digests = {{HashAlg::sha1, Buffer(20, 1)}, {HashAlg::sha256, Buffer(32, 2)}};
  return {{0, 0, digests, CelPcClient{EventType::EV_S_CRTM_VERSION, {0, 0}}},
          {1234, 4, digests, CelPcClient{static_cast<EventType>(0x12345678), {}}},
          {std::numeric_limits<std::uint64_t>::max(), 11, {}, CelSystemd{"enter-initrd"}},
          {3, 10, {{HashAlg::sha1, ima.template_hash}}, CelImaTemplate{"ima-ng", ima.template_data}}};
}

}  // namespace

TEST_CASE("cel: a record in TLV is the bytes that the format's tables give") {
  // CEL 1.0, "TLV Encoding": integers big-endian, in as few bytes as they need; event types in four.
  const std::vector<CelRecord> one = {
      {1234, 4, {{HashAlg::sha1, Buffer(20, 7)}}, CelPcClient{EventType::EV_SEPARATOR, {0, 0, 0, 0}}}};
  const auto expected = Writer{}
                            .bytes(Buffer{0, 0, 0, 0, 2, 0x04, 0xD2})
                            .bytes(Buffer{1, 0, 0, 0, 1, 4})
                            .bytes(Buffer{3, 0, 0, 0, 25, 4, 0, 0, 0, 20})
                            .fill(20, 7)
                            .bytes(Buffer{5, 0, 0, 0, 18, 0, 0, 0, 0, 4, 0, 0, 0, 4, 1, 0, 0, 0, 4, 0, 0, 0, 0})
                            .take();
  CHECK(encode_cel_tlv(one) == expected);
  CHECK(decode_cel_tlv(expected).value() == one);
}

TEST_CASE("cel: both forms hold every record, and TLV calls systemd's what it is") {
  auto all = records();
  CHECK(decode_cel_json(as_bytes(encode_cel_json(all))).value() == all);
  all[2].content = CelPcClient{EventType::EV_IPL, to_buffer(as_bytes("enter-initrd"))};
  CHECK(decode_cel_tlv(encode_cel_tlv(records())).value() == all);
  CHECK(decode_cel_tlv({}).value().empty());
  CHECK(decode_cel_json(as_bytes("[]")).value().empty());
  CHECK(decode_cel_json({}).value().empty());
}

TEST_CASE("cel: content of other types is kept, records about NV indexes are left out") {
  const std::string text =
      R"([{"recnum":1,"nv_index":7,"digests":[],"content_type":"cel","content":{}},)"
      R"({"recnum":2,"pcr":3,"digests":[],"content_type":"cel","content":{"type":"cel_version","data":{"major":1}}}])";
  const auto kept = decode_cel_json(as_bytes(text)).value();
  REQUIRE(kept.size() == 1);
  CHECK(std::get<CelOther>(kept[0].content).type == "cel");
  CHECK(decode_cel_json(as_bytes(encode_cel_json(kept))).value() == kept);

  const std::vector<CelRecord> management = {{0, 0, {}, CelOther{"4", {1, 2}}}};
  CHECK(decode_cel_tlv(encode_cel_tlv(management)).value() == management);
  auto about_nv = encode_cel_tlv(management);
  about_nv[6] = 2;
  CHECK(decode_cel_tlv(about_nv).value().empty());
}

TEST_CASE("cel: a text sequence is taken as systemd logs it") {
  const std::string record =
      "\x1E"
      R"({"pcr":11,"digests":[{"hashAlg":"sha256","digest":")" +
      std::string(64, 'a') +
      R"("}],"content_type":"systemd","content":{"string":"sysinit"}})"
      "\n";
  const auto found = decode_cel_json(as_bytes(record + record)).value();
  REQUIRE(found.size() == 2);
  CHECK(std::get<CelSystemd>(found[1].content).text == "sysinit");
  const auto cut = decode_cel_json(as_bytes((record + record).substr(0, 2 * record.size() - 1)));
  REQUIRE_FALSE(cut);
  CHECK(cut.error().message.find("record 1") != std::string::npos);
}

TEST_CASE("cel: a log goes through it and comes back") {
  EventLog firmware;
  firmware.algorithms = algorithm_sizes(std::array{HashAlg::sha256});
  firmware.events = {{0, EventType::EV_NO_ACTION, {{HashAlg::sha256, Buffer(32)}}, {1, 2}},
                     {4, EventType::EV_EFI_ACTION, {{HashAlg::sha256, Buffer(32, 4)}}, {'x'}}};
  const std::vector<Event> userspace = {{11, EventType::EV_IPL, {{HashAlg::sha256, Buffer(32, 5)}}, {'r', 'e'}}};
  std::vector<ImaEntry> ima(2);
  ima[0].template_name = "ima";
  ima[0].digest_alg = "sha1";
  ima[0].digest = Buffer(20, 9);
  ima[1].template_name = "ima-sig";
  ima[1].digest_alg = "sha256";
  ima[1].digest = Buffer(32);
  ima[1].signature = {3, 2};
  for (auto& entry : ima) {
    entry.path = "/bin/x";
    REQUIRE(seal_ima_entry(entry));
  }
  ima[1].template_hash = Buffer(20);  // a violation
  const auto all = cel_records(firmware, userspace, ima);
  REQUIRE(all.size() == 5);
  CHECK(all[4].digests.at(HashAlg::sha256) == Buffer(32, 0xFF));
  for (const auto& again : {decode_cel_json(as_bytes(encode_cel_json(all))).value(), all}) {
    const auto parts = split_cel(again).value();
    CHECK(parts.firmware == firmware.events);
    CHECK(parts.userspace == userspace);
    CHECK(parts.ima == ima);
  }
}

TEST_CASE("cel: truncated TLV is malformed") {
  const std::vector<CelRecord> one = {records().front()};
  test::rejects_every_prefix(encode_cel_tlv(one),
                             [](Bytes part) { return !part.empty() && decode_cel_tlv(part).has_value(); });
}

TEST_CASE("cel: defects of TLV are malformed") {
  struct Row {
    const char* name;
    std::size_t at;
    Buffer bytes;
  };
  // Number at 0 (one byte), PCR at 6, digests at 12: sha1 at 17, sha256 at 42; content at 79: type at 84, data at 93.
  const Row row = GENERATE(values<Row>({
      {"not a number first", 0, {9}},
      {"number of no bytes", 4, {0}},
      {"number of nine bytes", 4, {9}},
      {"neither PCR nor NV index", 6, {3}},
      {"PCR 24", 11, {24}},
      {"no digests", 12, {4}},
      {"digest of a wrong size", 21, {19}},
      {"one algorithm twice", 42, {4}},
      {"field of 4 GiB", 80, {0xFF, 0xFF, 0xFF, 0xFF}},
      {"event type in another field", 84, {7}},
      {"event type of five bytes", 88, {5}},
      {"event data in another field", 93, {7}},
  }));
  INFO(row.name);
  auto log = encode_cel_tlv({records().front()});
  REQUIRE(log.size() == 100);
  std::copy(row.bytes.begin(), row.bytes.end(), log.begin() + static_cast<std::ptrdiff_t>(row.at));
  const auto decoded = decode_cel_tlv(log);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::malformed);
  CHECK(decoded.error().message.find("record 0") == 0);
}

TEST_CASE("cel: defects of JSON are malformed") {
  const std::string good =
      R"([{"recnum":0,"pcr":4,"digests":[{"hashAlg":"sha1","digest":"0707070707070707070707070707070707070707"}],)"
      R"("content_type":"pcclient_std","content":{"event_type":"EV_SEPARATOR","event_data":"00000000"}}])";
  REQUIRE(decode_cel_json(as_bytes(good)));
  const auto [from, to] = GENERATE(table<std::string, std::string>({{"\"pcr\":4", "\"pcr\":24"},
                                                                    {"\"pcr\":4", "\"pcr\":\"4\""},
                                                                    {"\"pcr\":4", "\"x\":4"},
                                                                    {"\"recnum\":0", "\"recnum\":-1"},
                                                                    {"0707", "07"},
                                                                    {"0707", "zz07"},
                                                                    {"EV_SEPARATOR", "EV_NOTHING"},
                                                                    {"\"EV_SEPARATOR\"", "4294967296"},
                                                                    {"\"00000000\"", "0"},
                                                                    {"event_data", "data"},
                                                                    {"content_type", "type"},
                                                                    {"\"content\"", "\"contents\""},
                                                                    {"[{", "{"},
                                                                    {"}}]", "}},7]"}}));
  auto text = good;
  text.replace(text.find(from), from.size(), to);
  INFO(text);
  const auto decoded = decode_cel_json(as_bytes(text));
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ErrorCode::malformed);
}
