#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "check_machine.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/gpt.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;
using namespace ingot::test;
using check::BootQuestion;

TEST_CASE("learn: a platform has the firmware's events and nothing of the image") {
  const auto& learned = platform();
  CHECK(learned.startup_locality == 0);
  std::size_t of_7 = 0;
  for (const auto& event : learned.events) {
    CHECK((event.pcr <= 3 || event.pcr == 6 || event.pcr == 7));
    CHECK_FALSE(event.cause.empty());
    of_7 += event.pcr == 7 ? 1 : 0;
  }
  CHECK(of_7 == 6);  // SecureBoot, PK, KEK, db, dbx, separator; not the authority
  for (const auto bank : predicted_banks)
    for (const auto pcr : platform_pcrs) CHECK(learned.pcrs.at(bank).at(pcr) == reference().pcrs.at(bank).at(pcr));
  CHECK(codec::decode_platform_statement(as_bytes(codec::encode_platform_statement(learned))).value() == learned);
}

TEST_CASE("learn: an unhealthy machine is no reference") {
  struct Row {
    const char* name;
    Evidence evidence;
    const char* message;
  };
  const auto damaged = [](const std::function<void(Evidence&)>& change) {
    auto evidence = reference();
    change(evidence);
    return evidence;
  };
  const Row rows[] = {
      {"no log", damaged([](auto& e) { e.event_log.clear(); }), "no event log"},
      {"no values", damaged([](auto& e) { e.pcrs.clear(); }), "bank"},
      {"log does not replay", damaged([](auto& e) { e.pcrs[HashAlg::sha256][2][0] ^= 1; }), "does not replay to PCR 2"},
      {"value missing", damaged([](auto& e) { e.pcrs[HashAlg::sha256].erase(3); }), "no value for PCR 3"},
      {"quote does not hold", damaged([](auto& e) { e.quote_signature.back() ^= 1; }), "quote does not hold"},
      {"Secure Boot off", machine_with([](auto& log) {
         auto variable = codec::decode_measured_variable(event_of(log, 7, 0).data).value();
         variable.data = {0};
         set_data(event_of(log, 7, 0), codec::encode_measured_variable(variable));
       }),
       "Secure Boot is off"},
      {"a variable whose data are not what was measured",
       machine_with([](auto& log) { event_of(log, 7, 3).data.back() ^= 1; }), "db"},
      {"a variable after the separator",
       machine_with([](auto& log) { std::swap(event_of(log, 7, 4), event_of(log, 7, 5)); }), "after PCR 7's separator"},
      {"no separator in PCR 7", machine_with([](auto& log) { log.events.erase(place_of(log, 7, 5)); }), "0 separators"},
      {"two separators in PCR 0", machine_with([](auto& log) {
         const auto copy = event_of(log, 0, 3);
         log.events.insert(place_of(log, 0, 3), copy);
       }),
       "2 separators"},
      {"separator with an error", machine_with([](auto& log) { set_data(event_of(log, 6, 0), Buffer(4, 0xFF)); }),
       "reports an error"},
      {"debug mode",
       machine_with([](auto& log) { log.events.insert(place_of(log, 7, 0), action(7, "UEFI Debug Mode")); }),
       "UEFI Debug Mode"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    const auto learned = check::learn_platform(row.evidence);
    REQUIRE_FALSE(learned);
    INFO(learned.error().message);
    CHECK(contains(learned.error().message, row.message));
  }
}

TEST_CASE("learn: an H-CRTM's startup locality belongs to the platform") {
  const auto evidence = machine_with([](codec::EventLog& log) {
    log.events.insert(
        log.events.begin(),
        {0, EventType::EV_NO_ACTION, {}, to_buffer(as_bytes(std::string_view("StartupLocality\0\x03", 17)))});
    log.startup_locality = 3;
  });
  const auto learned = check::learn_platform(evidence).value();
  CHECK(learned.startup_locality == 3);
  auto asked = question();
  asked.platform = &learned;
  CHECK(verdict_on(evidence, asked).trusted());
  CHECK_FALSE(verdict_on(reference(), asked).trusted());
  CHECK_FALSE(verdict_on(evidence).trusted());
}

TEST_CASE("learn: what varies over the machines of a class is told, and each of them is trusted afterwards") {
  const auto renamed = machine_with([](auto& log) {
    auto& entry = event_of(log, 1, 2);
    auto variable = codec::decode_measured_variable(entry.data).value();
    auto option = codec::decode_load_option(variable.data).value();
    option.description += " of this machine";
    variable.data = codec::encode_load_option(option);
    entry.data = codec::encode_measured_variable(variable);
    entry.digests = crypto::hash_banks(variable.data);
  });
  const auto other_volume = machine_with([](auto& log) { event_of(log, 0, 1) = other_digest(event_of(log, 0, 1)); });
  const auto with_card = machine_with([](auto& log) {
    const Event rom{2, EventType::EV_EFI_BOOT_SERVICES_DRIVER, crypto::hash_banks(as_bytes("rom")), Buffer(32)};
    log.events.insert(place_of(log, 2, 0), rom);
  });
  const std::vector<Evidence> machines = {reference(), renamed, other_volume, with_card};
  const auto learned = check::learn_platform(machines).value();
  auto asked = question();
  asked.platform = &learned;
  for (const auto& machine : machines) {
    const auto verdict = verdict_on(machine, asked);
    INFO(check::render_verdict(verdict));
    CHECK(verdict.trusted());
  }
  const auto told = check::describe_variation(learned);
  CHECK(told.front() == fmt::format("{} events constant, 3 vary", platform().events.size() - 2));
  CHECK(std::count(told.begin(), told.end(), "pcr 0, PEIFV: one of 2 digests") == 1);
  CHECK(std::any_of(told.begin(), told.end(), [](const auto& line) { return contains(line, "by device path"); }));
  CHECK(std::any_of(told.begin(), told.end(), [](const auto& line) { return contains(line, "not on every machine"); }));
  CHECK_FALSE(learned.pcrs.at(HashAlg::sha256).contains(0));
  CHECK(learned.pcrs.at(HashAlg::sha256).at(3) == reference().pcrs.at(HashAlg::sha256).at(3));
  CHECK(codec::decode_platform_statement(as_bytes(codec::encode_platform_statement(learned))).value() == learned);
  // What no machine of the class showed is a finding all the same.
  const auto stranger = machine_with([](auto& log) {
    event_of(log, 0, 1) = other_digest(other_digest(event_of(log, 0, 1)));
    event_of(log, 0, 1).digests[HashAlg::sha256][5] ^= 9;
  });
  CHECK_FALSE(verdict_on(stranger, asked).trusted());
  const auto other_path = machine_with([](auto& log) {
    auto& entry = event_of(log, 1, 2);
    auto variable = codec::decode_measured_variable(entry.data).value();
    auto option = codec::decode_load_option(variable.data).value();
    option.device_path[4] ^= 1;
    variable.data = codec::encode_load_option(option);
    entry.data = codec::encode_measured_variable(variable);
    entry.digests = crypto::hash_banks(variable.data);
  });
  CHECK_FALSE(verdict_on(other_path, asked).trusted());
  // A description in the log that is not the one that was measured vouches for nothing.
  auto log = codec::decode_event_log(other_path.event_log).value();
  auto renamed_log = codec::decode_event_log(renamed.event_log).value();
  event_of(log, 1, 2).data = event_of(renamed_log, 1, 2).data;
  auto evidence = other_path;
  evidence.event_log = codec::encode_event_log(log);
  sign(evidence, software_tpm());
  CHECK_FALSE(verdict_on(evidence, asked).trusted());
}

TEST_CASE("policy: a GPT by meaning takes added partitions of the allowed types, and nothing else") {
  auto reference_copy = reference_log();
  const auto golden = event_of(reference_copy, 5, 1).data;
  auto tolerant = baseline();
  for (auto& event : tolerant.events)
    if (event.type == EventType::EV_EFI_GPT_EVENT) event.meaning = GptMeaning{golden, {codec::var_type}};
  CHECK(codec::decode_baseline_statement(as_bytes(codec::encode_baseline_statement(tolerant))).value() == tolerant);
  const auto entry = [](const Guid& type, std::uint8_t fill) {
    return Writer{}.bytes(type.bytes).fill(16, fill).u64le(133120).u64le(133130).u64le(0).fill(72).take();
  };
  const auto with_table = [&](const std::function<void(Buffer&)>& change) {
    return machine_with([&](auto& log) {
      auto data = golden;
      change(data);
      set_data(event_of(log, 5, 1), data);
    });
  };
  const auto added = [&](const Guid& type) {
    return with_table([&](Buffer& data) {
      ++data[92];  // the number of entries, behind the header
      const auto one = entry(type, 9);
      data.insert(data.end(), one.begin(), one.end());
    });
  };
  auto asked = question();
  CHECK_FALSE(verdict_on(added(codec::var_type), asked).trusted());
  asked.baseline = &tolerant;
  CHECK(verdict_on(reference(), asked).trusted());
  const auto verdict = verdict_on(added(codec::var_type), asked);
  INFO(check::render_verdict(verdict));
  CHECK(verdict.trusted());
  CHECK(std::any_of(verdict.notes.begin(), verdict.notes.end(),
                    [](const auto& note) { return contains(note, "GPT: one of the allowed variants"); }));
  CHECK_FALSE(verdict_on(added(codec::root_x86_64_type), asked).trusted());
  // One that goes by a golden GUID, and one that lies over a golden partition.
  const auto added_like = [&](std::size_t from, std::size_t size) {
    return with_table([&](Buffer& data) {
      ++data[92];
      auto one = entry(codec::var_type, 9);
      std::copy_n(data.begin() + 100 + static_cast<std::ptrdiff_t>(from), size,
                  one.begin() + static_cast<std::ptrdiff_t>(from));
      data.insert(data.end(), one.begin(), one.end());
    });
  };
  CHECK_FALSE(verdict_on(added_like(16, 16), asked).trusted());
  CHECK_FALSE(verdict_on(added_like(32, 16), asked).trusted());
  // A golden partition is gone, and another stands there twice.
  const auto root = entry(codec::root_x86_64_type, 7);
  auto two = golden;
  two[92] = 2;
  two.insert(two.end(), root.begin(), root.end());
  auto twice = golden;
  twice[92] = 2;
  twice.insert(twice.end(), golden.begin() + 100, golden.end());
  auto both = tolerant;
  for (auto& event : both.events)
    if (event.type == EventType::EV_EFI_GPT_EVENT) event.meaning = GptMeaning{two, {codec::var_type}};
  asked.baseline = &both;
  CHECK(verdict_on(with_table([&](Buffer& data) { data = two; }), asked).trusted());
  CHECK_FALSE(verdict_on(with_table([&](Buffer& data) { data = twice; }), asked).trusted());
  asked.baseline = &tolerant;
  CHECK_FALSE(verdict_on(with_table([](Buffer& data) { data[100 + 40] ^= 1; }), asked).trusted());  // moved
  CHECK_FALSE(verdict_on(with_table([](Buffer& data) { data[56] ^= 1; }), asked).trusted());        // another disk
  CHECK_FALSE(verdict_on(with_table([](Buffer& data) {
                           data[92] = 0;
                           data.resize(100);
                         }),
                         asked)
                  .trusted());
}
