#include <catch2/catch.hpp>

#include "check_machine.hpp"
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
