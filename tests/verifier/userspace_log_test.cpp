#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;

namespace {

Result<std::vector<Event>> decode(std::string_view text) { return codec::decode_userspace_log(as_bytes(text)); }

std::string record(const std::string& json) { return "\x1E" + json + "\n"; }
const std::string digest64(64, 'a');

}  // namespace

TEST_CASE("userspace log: a record is an event with the text that was hashed") {
  const std::string text = record("{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"" +
                                  to_hex(crypto::sha256(as_bytes("enter-initrd"))) +
                                  "\"}],\"content_type\":\"systemd\",\"content\":{\"string\":\"enter-initrd\","
                                  "\"bootId\":\"00\",\"timestamp\":1,\"eventType\":\"phase\"}}");
  const auto events = decode(text);
  REQUIRE(events);
  REQUIRE(events->size() == 1);
  CHECK((*events)[0].pcr == 11);
  CHECK(as_text((*events)[0].data) == "enter-initrd");
  CHECK((*events)[0].digests.at(HashAlg::sha256) == crypto::sha256(as_bytes("enter-initrd")));
}

TEST_CASE("userspace log: empty is no records") { CHECK(decode("").value().empty()); }

TEST_CASE("userspace log: what is encoded is decoded, and no prefix but whole records is taken") {
  const std::vector<Event> events = {
      {11, EventType::EV_IPL, crypto::hash_banks(as_bytes("sysinit")), to_buffer(as_bytes("sysinit"))},
      {15, EventType::EV_IPL, crypto::hash_banks(as_bytes("x")), to_buffer(as_bytes("machine-id:x"))}};
  const auto bytes = codec::encode_userspace_log(events);
  CHECK(codec::decode_userspace_log(bytes).value() == events);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const auto decoded = codec::decode_userspace_log(Bytes(bytes).first(size));
    if (decoded) CHECK(decoded->size() == 1);
  }
}

TEST_CASE("userspace log: records about NV indexes extend no PCR") {
  CHECK(decode(record("{\"nv_index\":30000000,\"digests\":[]}")).value().empty());
}

TEST_CASE("userspace log: banks that we cannot hash are left out") {
  const auto events =
      decode(record("{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha3-256\",\"digest\":\"" + digest64 + "\"}]}"));
  REQUIRE(events);
  CHECK((*events)[0].digests.empty());
}

TEST_CASE("userspace log: malformed logs are refused") {
  const std::string digest = "{\"hashAlg\":\"sha256\",\"digest\":\"" + digest64 + "\"}";
  REQUIRE(decode(record("{\"pcr\":11,\"digests\":[" + digest + "]}")));
  const std::pair<const char*, std::string> rows[] = {
      {"no record separator", "{\"pcr\":11,\"digests\":[" + digest + "]}\n"},
      {"no line feed: cut off", "\x1E{\"pcr\":11,\"digests\":[" + digest + "]}"},
      {"not JSON", record("pcr 11")},
      {"an array", record("[]")},
      {"no PCR", record("{\"digests\":[" + digest + "]}")},
      {"PCR 24", record("{\"pcr\":24,\"digests\":[" + digest + "]}")},
      {"PCR -1", record("{\"pcr\":-1,\"digests\":[" + digest + "]}")},
      {"PCR as text", record("{\"pcr\":\"11\",\"digests\":[" + digest + "]}")},
      {"no digests", record("{\"pcr\":11}")},
      {"digest of the wrong length", record("{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"aa\"}]}")},
      {"digest that is no hexadecimal",
       record("{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"" + std::string(64, 'g') + "\"}]}")},
      {"one bank twice", record("{\"pcr\":11,\"digests\":[" + digest + "," + digest + "]}")},
      {"member twice", record("{\"pcr\":11,\"pcr\":12,\"digests\":[" + digest + "]}")},
      {"two documents in one record", record("{\"pcr\":11,\"digests\":[" + digest + "]}{}")},
      {"deeply nested", record(std::string(100000, '['))},
  };
  for (const auto& [defect, text] : rows) {
    INFO(defect);
    const auto events = decode(text);
    REQUIRE_FALSE(events);
    CHECK(events.error().code == ErrorCode::malformed);
  }
  CHECK(decode(record("{\"pcr\":11,\"digests\":[" + std::string(17 * 80, ' ') + "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}"))
            .error()
            .code == ErrorCode::limit);
}
