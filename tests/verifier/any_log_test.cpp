#include "ingot/codec/any_log.hpp"

#include <catch2/catch.hpp>

#include "ima_entry.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

EventLog firmware() {
  EventLog log;
  log.algorithms = algorithm_sizes(std::vector{HashAlg::sha1, HashAlg::sha256});
  for (const PcrIndex pcr : {0u, 7u})
    log.events.push_back(
        {pcr,
         EventType::EV_SEPARATOR,
         {{HashAlg::sha1, crypto::hash(HashAlg::sha1, Buffer(4))}, {HashAlg::sha256, crypto::sha256(Buffer(4))}},
         Buffer(4)});
  return log;
}

std::vector<Event> userspace() {
  const auto text = to_buffer(as_bytes("enter-initrd"));
  return {{11,
           EventType::EV_IPL,
           {{HashAlg::sha1, crypto::hash(HashAlg::sha1, text)}, {HashAlg::sha256, crypto::sha256(text)}},
           text}};
}

std::vector<ImaEntry> ima() { return {test::ima_entry("ima-ng", "/usr/bin/ls", Buffer(32, 9))}; }

}  // namespace

TEST_CASE("any log: each format is known by its first bytes, and all of them replay alike") {
  const auto records = cel_records(firmware(), userspace(), ima());
  const auto joined = [] {
    auto log = decode_any_log(encode_event_log(firmware())).value();
    REQUIRE(join_log(log, decode_any_log(encode_userspace_log(userspace())).value()));
    REQUIRE(join_log(log, decode_any_log(encode_ima(ima())).value()));
    return log;
  }();
  CHECK(joined.format == AnyLogFormat::crypto_agile);
  const auto values = replay(joined);
  CHECK(values.at(HashAlg::sha256).size() == 4);  // PCR 0, 7, 10, 11
  const auto json = decode_any_log(as_bytes(encode_cel_json(records))).value();
  CHECK(json.format == AnyLogFormat::cel_json);
  CHECK(replay(json) == values);
  const auto tlv = decode_any_log(encode_cel_tlv(records)).value();
  CHECK(tlv.format == AnyLogFormat::cel_tlv);
  CHECK(replay(tlv) == values);
  CHECK(decode_any_log(encode_userspace_log(userspace())).value().format == AnyLogFormat::systemd);
  CHECK(decode_any_log(encode_ima(ima())).value().format == AnyLogFormat::ima_binary);
  CHECK(decode_any_log(as_bytes(encode_ima_ascii(ima()))).value().format == AnyLogFormat::ima_ascii);
  auto old = firmware();
  old.format = LogFormat::sha1;
  CHECK(decode_any_log(encode_event_log(old)).value().format == AnyLogFormat::sha1);
}

TEST_CASE("any log: two logs of one kind are no boot") {
  auto log = decode_any_log(encode_event_log(firmware())).value();
  CHECK_FALSE(join_log(log, log));
  auto list = decode_any_log(encode_ima(ima())).value();
  CHECK_FALSE(join_log(list, list));
}

TEST_CASE("any log: what is no log of any kind is malformed, with the byte") {
  for (const Buffer& bytes : {Buffer{}, Buffer{1, 2, 3}, Buffer(64, 0xFF), Buffer{'n', 'o', ' ', 'l', 'o', 'g'}}) {
    const auto log = decode_any_log(bytes);
    REQUIRE_FALSE(log);
    CHECK(log.error().code == ErrorCode::malformed);
    CHECK(log.error().offset_bytes);
  }
}

TEST_CASE("any log: events without a bank in common are no event log") {
  const Event first{0, EventType::EV_SEPARATOR, {{HashAlg::sha256, Buffer(32, 1)}}, Buffer(4)};
  const Event second{1, EventType::EV_SEPARATOR, {{HashAlg::sha384, Buffer(48, 1)}}, Buffer(4)};
  codec::EventLog log;
  log.events = {first, second};
  const auto records = codec::cel_records(log, {}, {});
  for (const auto& bytes : {codec::encode_cel_tlv(records), to_buffer(as_bytes(codec::encode_cel_json(records)))}) {
    const auto decoded = codec::decode_any_log(bytes);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == ErrorCode::unsupported);
  }
}

TEST_CASE("replay: PCRs of a dynamic launch hold ones until one takes place, and start from zeroes then") {
  CHECK(pcr_start_value(HashAlg::sha256, 17, 3) == Buffer(32, 0xFF));
  CHECK(pcr_start_value(HashAlg::sha256, 22, 0) == Buffer(32, 0xFF));
  CHECK(pcr_start_value(HashAlg::sha256, 16, 0) == Buffer(32, 0));
  CHECK(pcr_start_value(HashAlg::sha256, 23, 0) == Buffer(32, 0));
  auto log = firmware();
  log.events[1].pcr = 17;
  const auto digest = log.events[1].digests.at(HashAlg::sha256);
  CHECK(replay(log).at(HashAlg::sha256).at(17) == extend(HashAlg::sha256, Buffer(32, 0), digest));
}
