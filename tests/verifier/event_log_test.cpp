#include "ingot/codec/event_log.hpp"

#include <catch2/catch.hpp>

#include "boot_vectors.hpp"
#include "decoder_checks.hpp"
#include "ingot/base/writer.hpp"

using namespace ingot;
using codec::EventLog;

namespace {

Digests both(std::uint8_t fill) { return {{HashAlg::sha256, Buffer(32, fill)}, {HashAlg::sha384, Buffer(48, fill)}}; }

EventLog example() {
  constexpr HashAlg algs[] = {HashAlg::sha384, HashAlg::sha256};  // not in the order of their ids
  EventLog log;
  log.algorithms = codec::algorithm_sizes(algs);
  log.spec = {0, 0, 2, 105, 2, {0xAB, 0xCD}};
  log.events = {{0, EventType::EV_S_CRTM_VERSION, both(1), {0, 0}},
                {7, EventType::EV_SEPARATOR, both(2), {0, 0, 0, 0}},
                {11, EventType::EV_IPL, both(3), {}}};
  return log;
}

Event locality_event(std::uint8_t locality, std::size_t extra = 0) {
  Writer data;
  data.text(std::string_view("StartupLocality\0", 16)).u8(locality).fill(extra);
  return {0, EventType::EV_NO_ACTION, both(0), data.take()};
}

/// The header event of a crypto-agile log with these algorithm entries.
Buffer header(std::uint32_t count, const std::vector<std::pair<std::uint16_t, std::uint16_t>>& algorithms,
              std::size_t extra = 0) {
  Writer data;
  data.text(std::string_view("Spec ID Event03\0", 16)).u32le(0).u8(0).u8(2).u8(0).u8(2).u32le(count);
  for (const auto& [alg, size] : algorithms) data.u16le(alg).u16le(size);
  data.u8(0).fill(extra);
  Writer out;
  out.u32le(0).u32le(3).fill(20).u32le(static_cast<std::uint32_t>(data.size())).bytes(data.view());
  return out.take();
}

Buffer event_bytes(std::uint32_t pcr, std::uint32_t count, const std::vector<std::uint16_t>& algorithms,
                   std::uint32_t data_size, std::size_t data) {
  Writer out;
  out.u32le(pcr).u32le(4).u32le(count);
  for (const auto alg : algorithms) out.u16le(alg).fill(32);
  return out.u32le(data_size).fill(data).take();
}

Buffer joined(Buffer first, const Buffer& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

TEST_CASE("event log: what is encoded is decoded") {
  auto log = example();
  CHECK(codec::decode_event_log(codec::encode_event_log(log)).value() == log);
  log.events.insert(log.events.begin(), locality_event(3));
  log.startup_locality = 3;
  CHECK(codec::decode_event_log(codec::encode_event_log(log)).value() == log);

  EventLog old;
  old.format = codec::LogFormat::sha1;
  old.algorithms = {{HashAlg::sha1, 20}};
  old.events = {{0, EventType::EV_S_CRTM_VERSION, {{HashAlg::sha1, Buffer(20, 9)}}, {1}},
                {4, EventType::EV_SEPARATOR, {{HashAlg::sha1, Buffer(20, 8)}}, {}}};
  CHECK(codec::decode_event_log(codec::encode_event_log(old)).value() == old);
}

TEST_CASE("event log: a real log is encoded to the same bytes") {
  for (const auto* name : {"uki-boot-257.bin", "uki-boot-257-second-entry.bin"}) {
    const auto bytes = test::vector_file(name);
    CHECK(codec::encode_event_log(codec::decode_event_log(bytes).value()) == bytes);
  }
}

TEST_CASE("event log: a real log replays to what the kernel read from the TPM") {
  for (const std::string name : {"uki-boot-257", "uki-boot-257-second-entry"}) {
    const auto replayed = codec::replay(codec::decode_event_log(test::vector_file(name + ".bin")).value());
    const auto held = test::vector_pcrs(name + ".pcrs");
    for (const auto bank : predicted_banks) {
      REQUIRE(replayed.at(bank).size() == 10);  // PCR 0-7, 9, 11
      for (const auto& [pcr, value] : replayed.at(bank)) CHECK(value == held.at(bank).at(pcr));
    }
  }
}

TEST_CASE("event log: a prefix is an error, or fewer whole events") {
  const auto log = example();
  const auto whole = codec::encode_event_log(log);
  std::size_t shorter = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = codec::decode_event_log(Bytes(whole).first(size));
    if (!decoded) continue;
    ++shorter;
    CHECK(decoded->events.size() < log.events.size());
    CHECK(codec::encode_event_log(*decoded).size() == size);
  }
  CHECK(shorter == log.events.size());
}

TEST_CASE("event log: every byte counts") {
  const auto whole = codec::encode_event_log(example());
  // The header event's own digest (8 to 28) is zero by rule, extends nothing and is not kept.
  test::notices_every_byte(whole, 28, whole.size(), codec::decode_event_log);
}

TEST_CASE("event log: malformed logs are refused") {
  const Buffer good = header(1, {{0x000B, 32}});
  REQUIRE(codec::decode_event_log(good));
  REQUIRE(codec::decode_event_log(joined(good, event_bytes(0, 1, {0x000B}, 4, 4))));
  struct Row {
    const char* defect;
    Buffer log;
  };
  const Row rows[] = {
      {"empty", {}},
      {"no algorithms", header(0, {})},
      {"2^32-1 algorithms", header(0xFFFFFFFF, {{0x000B, 32}})},
      {"algorithm twice", header(2, {{0x000B, 32}, {0x000B, 32}})},
      {"SHA-256 of 20 bytes", header(1, {{0x000B, 20}})},
      {"unknown algorithm of 0 bytes", header(1, {{0x0099, 0}})},
      {"unknown algorithm of 65535 bytes", header(1, {{0x0099, 0xFFFF}})},
      {"bytes behind the vendor info", header(1, {{0x000B, 32}}, 1)},
      {"PCR 24", joined(good, event_bytes(24, 1, {0x000B}, 0, 0))},
      {"PCR 0xFFFFFFFF", joined(good, event_bytes(0xFFFFFFFF, 1, {0x000B}, 0, 0))},
      {"no digest", joined(good, event_bytes(0, 0, {}, 0, 0))},
      {"2^32-1 digests", joined(good, event_bytes(0, 0xFFFFFFFF, {0x000B}, 0, 0))},
      {"digest of an algorithm that is not listed", joined(good, event_bytes(0, 1, {0x0012}, 0, 0))},
      {"one digest twice", joined(header(2, {{0x000B, 32}, {0x0012, 32}}), event_bytes(0, 2, {0x000B, 0x000B}, 0, 0))},
      {"data of 4 GiB", joined(good, event_bytes(0, 1, {0x000B}, 0xFFFFFFFF, 4))},
      {"trailing byte", joined(joined(good, event_bytes(0, 1, {0x000B}, 0, 0)), {0})},
  };
  for (const auto& row : rows) {
    INFO(row.defect);
    const auto log = codec::decode_event_log(row.log);
    REQUIRE_FALSE(log);
    CHECK(log.error().code == ErrorCode::malformed);
  }
}

TEST_CASE("event log: an event without a PCR is taken when it extends nothing") {
  auto log = example();
  log.events.push_back({0xFFFFFFFF, EventType::EV_NO_ACTION, both(0), {1}});
  CHECK(codec::decode_event_log(codec::encode_event_log(log)).value() == log);
}

TEST_CASE("event log: more events than the cap are refused before memory runs out") {
  Buffer log = header(1, {{0x000B, 32}});
  const auto one = event_bytes(0, 1, {0x000B}, 0, 0);
  for (std::size_t i = 0; i <= codec::event_count_cap; ++i) log.insert(log.end(), one.begin(), one.end());
  CHECK(codec::decode_event_log(log).error().code == ErrorCode::limit);
}

TEST_CASE("event log: the startup locality is where PCR 0 starts") {
  auto log = example();
  log.events.insert(log.events.begin(), locality_event(3));
  const auto decoded = codec::decode_event_log(codec::encode_event_log(log)).value();
  CHECK(decoded.startup_locality == 3);
  Buffer start(32, 0);
  start.back() = 3;
  CHECK(codec::replay(decoded).at(HashAlg::sha256).at(0) == codec::extend(HashAlg::sha256, start, Buffer(32, 1)));
  struct Row {
    const char* defect;
    std::vector<Event> events;
  };
  const Row rows[] = {{"two of them", {locality_event(3), locality_event(3)}},
                      {"too long", {locality_event(3, 1)}},
                      {"a locality that no TPM has", {locality_event(9)}},
                      {"after PCR 0 was extended", {{0, EventType::EV_SEPARATOR, both(1), {}}, locality_event(3)}}};
  for (const auto& row : rows) {
    INFO(row.defect);
    auto bad = example();
    bad.events = row.events;
    CHECK(codec::decode_event_log(codec::encode_event_log(bad)).error().code == ErrorCode::malformed);
  }
}

TEST_CASE("event log: banks that we cannot hash are kept and not replayed") {
  auto log = example();
  log.algorithms.push_back({static_cast<HashAlg>(0x0027), 32});
  for (auto& event : log.events) event.digests[static_cast<HashAlg>(0x0027)] = Buffer(32, 5);
  CHECK(codec::decode_event_log(codec::encode_event_log(log)).value() == log);
  CHECK(codec::replay(log).size() == 2);
}

TEST_CASE("extend: the value is the hash of old value and digest") {
  // printf '%064d%064d' 0 0 | xxd -r -p | sha256sum
  CHECK(to_hex(codec::extend(HashAlg::sha256, Buffer(32, 0), Buffer(32, 0))) ==
        "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}
