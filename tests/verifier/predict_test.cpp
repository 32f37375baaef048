#include "ingot/measure/predict.hpp"

#include <catch2/catch.hpp>

#include "boot_vectors.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/measure/uki.hpp"
#include "ingot/measure/variable_update.hpp"

using namespace ingot;

namespace {

codec::EventLog captured_log() { return codec::decode_event_log(test::vector_file("uki-boot-257.bin")).value(); }

std::vector<const Event*> of(const codec::EventLog& log, PcrIndex pcr) {
  std::vector<const Event*> events;
  for (const auto& event : log.events)
    if (event.pcr == pcr && event.type != EventType::EV_NO_ACTION) events.push_back(&event);
  return events;
}

/// The variables that the captured machine measured, from its log.
std::vector<codec::Variable> logged_variables(const codec::EventLog& log) {
  std::vector<codec::Variable> variables;
  for (const auto* event : of(log, 7))
    if (event->type == EventType::EV_EFI_VARIABLE_DRIVER_CONFIG) {
      auto one = codec::decode_measured_variable(event->data).value();
      if (one.name != "SecureBoot") variables.push_back({one.name, one.guid, 0, {}, one.data});
    }
  return variables;
}

}  // namespace

TEST_CASE("prediction: each PCR of the image is what a real boot measured, in both banks") {
  const auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  const auto held = test::vector_pcrs("uki-boot-257.pcrs");
  for (const auto bank : predicted_banks) {
    REQUIRE(baseline.pcrs.at(bank).size() == std::size(image_pcrs));
    for (const auto pcr : image_pcrs) {
      INFO(to_text(bank) << " " << pcr);
      CHECK(baseline.pcrs.at(bank).at(pcr) == held.at(bank).at(pcr));
    }
  }
}

TEST_CASE("prediction: Secure Boot variables and authority are what a real boot measured") {
  const auto log = captured_log();
  auto events = measure::secure_boot_events(logged_variables(log)).value();
  const auto baseline = codec::decode_baseline_statement(test::vector_file("uki-boot-257.baseline.json")).value();
  for (const auto& event : baseline.events)
    if (event.pcr == 7) events.push_back(event);
  const auto measured = of(log, 7);
  REQUIRE(events.size() == measured.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    INFO(events[i].cause);
    CHECK(events[i].digests == measured[i]->digests);
    CHECK(events[i].type == measured[i]->type);
  }
}

TEST_CASE("prediction: Secure Boot is off without PK, or when SecureBootEnable says so") {
  auto variables = logged_variables(captured_log());
  CHECK(measure::secure_boot_events(variables).value().at(0).text == "on");
  variables.push_back({"SecureBootEnable", codec::efi_secure_boot_enable_guid, 0, {}, {0}});
  CHECK(measure::secure_boot_events(variables).value().at(0).text == "off");
  variables.back().data = {1};
  CHECK(measure::secure_boot_events(variables).value().at(0).text == "on");
  CHECK(measure::secure_boot_events({}).value().at(0).text == "off");
  CHECK(measure::secure_boot_events({}).value().size() == 6);
}

TEST_CASE("prediction: a platform follows the variables of its machines in PCR 7, and in nothing else") {
  const auto log = captured_log();
  const auto before = logged_variables(log);
  Platform platform;
  platform.name = "q35";
  platform.events = measure::secure_boot_events(before).value();
  platform.events.insert(platform.events.begin(),
                         {0, EventType::EV_SEPARATOR, {{HashAlg::sha256, Buffer(32, 1)}}, "", "", ""});
  platform.pcrs = measure::replay_expected(platform.events, {});
  auto after = before;
  for (auto& variable : after)
    if (variable.name == "dbx") variable.data = codec::encode_signature_lists({codec::x509_list({}, Buffer(9, 1))});
  const auto changed = measure::with_variables(platform, before, after).value();
  auto share = changed.events;
  CHECK(share.front() == platform.events.front());
  share.erase(share.begin());
  const auto expected = measure::secure_boot_events(after).value();
  CHECK(share == expected);
  CHECK(changed.pcrs.at(HashAlg::sha256).at(7) == measure::replay_expected(expected, {}).at(HashAlg::sha256).at(7));
  CHECK(changed.pcrs.at(HashAlg::sha256).at(0) == platform.pcrs.at(HashAlg::sha256).at(0));
  CHECK(measure::with_variables(changed, after, before).value() == platform);
  const auto other = measure::with_variables(platform, after, before);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::crypto);
  CHECK(other.error().message.find("was not learned with this dbx") != std::string::npos);
}

TEST_CASE("prediction: what a machine has enrolled is in its boot's log") {
  const auto log = captured_log();
  const auto enrolled = measure::enrolled_in(log).value();
  for (const auto& variable : logged_variables(log)) {
    INFO(variable.name);
    CHECK(enrolled.contains(variable.name) == !variable.data.empty());
    if (!variable.data.empty()) CHECK(enrolled.at(variable.name).content == variable.data);
  }
  auto forged = log;
  for (auto& event : forged.events)
    if (event.pcr == 7 && !event.data.empty()) event.data.back() ^= 1;
  CHECK(measure::enrolled_in(forged).error().code == ErrorCode::missing);
}

TEST_CASE("event text: what a real log says, and what vouches for it") {
  const auto log = captured_log();
  const auto text = [&](PcrIndex pcr, std::size_t index) { return codec::describe_event(*of(log, pcr).at(index)); };
  CHECK(text(0, 1).component == "PEIFV");
  CHECK(text(0, 2).component == "DXEFV");
  CHECK(text(1, 0) == codec::EventText{"BootOrder", "0001,0000,0002", true});
  CHECK(text(1, 1) == codec::EventText{"Boot0001", "UEFI Misc Device: PciRoot(0x0)/Pci(0x2,0x0)", true});
  CHECK(text(7, 0) == codec::EventText{"SecureBoot", "on", true});
  CHECK(text(7, 3) == codec::EventText{"db", "CN=Ingot test db", true});
  CHECK(text(7, 6) == codec::EventText{"db authority", "CN=Ingot test db", true});
  CHECK(text(5, 1).vouched);
  CHECK(text(5, 1).text.find("esp (EFI system, 11111111-89ab-cdef-0123-456789abcdef, LBA 2048-133119)") !=
        std::string::npos);
  CHECK_FALSE(text(4, 2).vouched);
  CHECK(text(4, 2).text.find("\\EFI\\BOOT\\BOOTX64.EFI") != std::string::npos);
  CHECK(text(11, 4) == codec::EventText{".cmdline, name", ".cmdline", true});
  CHECK(text(11, 5).component == ".cmdline");
  CHECK_FALSE(text(11, 5).vouched);
  CHECK(text(9, 0).component == "load options");
}

TEST_CASE("event text: data that are not what was hashed are not vouched for") {
  auto log = captured_log();
  for (auto& event : log.events) {
    const auto honest = codec::describe_event(event);
    if (!honest.vouched) continue;
    for (auto& [alg, digest] : event.digests) digest[0] ^= 1;
    CHECK_FALSE(codec::describe_event(event).vouched);
  }
}

TEST_CASE("event text: never fails, whatever the data are") {
  const auto log = captured_log();
  for (const auto& event : log.events)
    for (std::size_t size = 0; size < event.data.size(); size += 1 + size / 16) {
      auto cut = event;
      cut.data.resize(size);
      CHECK_FALSE(codec::describe_event(cut).component.empty());
    }
}
