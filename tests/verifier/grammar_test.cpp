#include "ingot/check/grammar.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <iostream>
#include <set>

#include "ingot/base/source.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using check::check_grammar;

namespace {

const std::string eventlogs = std::string(INGOT_SHARED) + "/vectors/eventlogs";

Event event(PcrIndex pcr, EventType type, Buffer data) {
  return {pcr, type, {{HashAlg::sha256, crypto::sha256(data)}}, data};
}
Event action(PcrIndex pcr, std::string_view text) {
  return event(pcr, EventType::EV_EFI_ACTION, to_buffer(as_bytes(text)));
}
Event separator(PcrIndex pcr) { return event(pcr, EventType::EV_SEPARATOR, Buffer(4)); }
Event variable(const std::string& name, Buffer data, EventType type = EventType::EV_EFI_VARIABLE_DRIVER_CONFIG) {
  return event(7, type, codec::encode_measured_variable({codec::efi_global_variable_guid, name, std::move(data)}));
}
Event application(Bytes path = {}) {
  auto image = event(4, EventType::EV_EFI_BOOT_SERVICES_APPLICATION, Buffer(32));
  image.data[24] = static_cast<std::uint8_t>(path.size());
  image.data.insert(image.data.end(), path.begin(), path.end());
  return image;
}

/// A boot with Secure Boot on that breaks no rule. Places: 0 CRTM, 1-5 variables, 6 separator of 7, 7 action, 8-14
/// separators of 0-6, 15 authority, 16 application, 17 and 18 ExitBootServices.
codec::EventLog sound() {
  codec::EventLog log;
  log.events = {event(0, EventType::EV_S_CRTM_VERSION, {0, 0}),
                variable("SecureBoot", {1}),
                variable("PK", {9}),
                variable("KEK", {9}),
                variable("db", {9}),
                variable("dbx", {}),
                separator(7),
                action(4, "Calling EFI Application from Boot Option")};
  for (PcrIndex pcr = 0; pcr <= 6; ++pcr) log.events.push_back(separator(pcr));
  log.events.push_back(variable("db", {9}, EventType::EV_EFI_VARIABLE_AUTHORITY));
  log.events.push_back(application());
  log.events.push_back(action(5, "Exit Boot Services Invocation"));
  log.events.push_back(action(5, "Exit Boot Services Returned with Success"));
  return log;
}

using Events = std::vector<Event>;
void remove_at(Events& events, std::size_t at) { events.erase(events.begin() + static_cast<std::ptrdiff_t>(at)); }
void insert_at(Events& events, std::size_t at, Event one) {
  events.insert(events.begin() + static_cast<std::ptrdiff_t>(at), std::move(one));
}

std::vector<std::string> told(const codec::EventLog& log) {
  std::vector<std::string> out;
  for (const auto& problem : check_grammar(log)) {
    out.push_back(to_text(problem.kind));
    if (!problem.quirk.empty()) out.back() += " (" + problem.quirk + ")";
  }
  return out;
}

}  // namespace

TEST_CASE("grammar: a sound log has no problem") { CHECK(told(sound()).empty()); }

TEST_CASE("grammar: every rule is noticed when it is broken") {
  struct Row {
    const char* name;
    std::function<void(Events&)> change;
    std::vector<std::string> problems;
  };
  const Row rows[] = {
      {"separator missing", [](Events& e) { remove_at(e, 10); }, {"separator-missing"}},
      {"separator twice", [](Events& e) { insert_at(e, 11, separator(2)); }, {"separator-repeated"}},
      {"separator of an error",
       [](Events& e) { e[9] = event(1, EventType::EV_SEPARATOR, Buffer(4, 0xFF)); },
       {"separator-error"}},
      {"separator whose data is not what was hashed",
       [](Events& e) {
         e[9].data = {1, 0, 0, 0};
       },
       {"separator-disguised"}},
      {"separator with other data",
       [](Events& e) {
         e[9] = event(1, EventType::EV_SEPARATOR, {'W', 'B', 'C', 'L', 0});
       },
       {"separator-disguised"}},
      {"variable missing", [](Events& e) { remove_at(e, 5); }, {"variable-missing"}},
      {"variable twice", [](Events& e) { insert_at(e, 5, e[4]); }, {"variable-repeated"}},
      {"variables out of order", [](Events& e) { std::swap(e[2], e[3]); }, {"variable-order"}},
      {"variable behind the separator", [](Events& e) { std::swap(e[5], e[6]); }, {"variable-order"}},
      {"optional variables in order", [](Events& e) { insert_at(e, 6, variable("dbt", {})); }, {}},
      {"authority in front of the separator",
       [](Events& e) {
         insert_at(e, 6, e[15]);
         remove_at(e, 16);
       },
       {"authority-early", "authority-missing"}},
      {"Secure Boot without PK", [](Events& e) { e[2] = variable("PK", {}); }, {"secure-boot-without-pk"}},
      {"Secure Boot without authority", [](Events& e) { remove_at(e, 15); }, {"authority-missing"}},
      {"Secure Boot off needs neither",
       [](Events& e) {
         remove_at(e, 15);
         e[1] = variable("SecureBoot", {0});
         e[2] = variable("PK", {});
       },
       {}},
      {"debug mode", [](Events& e) { insert_at(e, 6, action(7, "UEFI Debug Mode")); }, {"debug-mode"}},
      {"option ROM behind its separator",
       [](Events& e) {
         auto rom = application();
         rom.pcr = 2;
         rom.type = EventType::EV_EFI_BOOT_SERVICES_DRIVER;
         insert_at(e, 16, rom);
       },
       {"event-after-separator"}},
      {"application in front of the separator",
       [](Events& e) { insert_at(e, 8, application()); },
       {"application-early"}},
      {"ExitBootServices missing", [](Events& e) { e.resize(17); }, {"exit-missing (no-final-events)"}},
      {"ExitBootServices without success", [](Events& e) { e.resize(18); }, {"exit-missing"}},
      {"success without invocation", [](Events& e) { remove_at(e, 17); }, {"exit-missing (no-final-events)"}},
      {"PCR 4 extended by the system", [](Events& e) { e.push_back(action(4, "late")); }, {"event-after-exit"}},
      {"PCR 11 extended by the system", [](Events& e) { e.push_back(event(11, EventType::EV_IPL, {'x'})); }, {}},
      {"unknown type",
       [](Events& e) { insert_at(e, 1, event(0, static_cast<EventType>(0x77), {})); },
       {"type-unknown"}},
      {"unknown type beyond the firmware's PCRs",
       [](Events& e) { e.push_back(event(14, static_cast<EventType>(0x77), {})); },
       {}},
      {"text that is not what was hashed", [](Events& e) { e[7].data = {'x'}; }, {"digest-not-of-data"}},
      {"variable that is none",
       [](Events& e) {
         insert_at(e, 1, event(7, EventType::EV_EFI_VARIABLE_BOOT, {1, 2}));
       },
       {"data-invalid"}},
      {"boot variable behind the separator",
       [](Events& e) {
         auto boot = variable("BootOrder", {0, 0}, EventType::EV_EFI_VARIABLE_BOOT);
         boot.pcr = 1;
         insert_at(e, 16, boot);
       },
       {"event-after-separator (boot-variables-after-separator)"}},
      {"application of a firmware volume in front of the separator",
       [](Events& e) {
         Buffer path = {4, 7, 20, 0};
         path.resize(20);
         path.insert(path.end(), {0x7F, 0xFF, 4, 0});
         insert_at(e, 8, application(path));
       },
       {"application-early (firmware-application)"}},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto log = sound();
    row.change(log.events);
    CHECK(told(log) == row.problems);
  }
}

TEST_CASE("grammar: an event that extends nothing breaks no rule") {
  auto log = sound();
  log.events.push_back(event(0, EventType::EV_NO_ACTION, {1, 2, 3}));
  CHECK(told(log).empty());
}

TEST_CASE("grammar: habits of real firmware, each shown by its log") {
  if (!std::filesystem::exists(eventlogs)) {
    std::cerr << "SKIPPED: firmware habits were not looked for in logs of other machines (no " << eventlogs << ")\n";
    return;
  }
  const auto read = [](const std::string& name) {
    return codec::decode_event_log(read_file(eventlogs + "/" + name, 1u << 22).value());
  };
  for (const auto& quirk : check::firmware_quirks()) {
    INFO(quirk.name);
    const auto problems = check_grammar(read(quirk.vector).value());
    CHECK(std::any_of(problems.begin(), problems.end(), [&](const auto& one) { return one.quirk == quirk.name; }));
  }
  // Logs of real machines need no more than the named habits; the two that do were written by hand.
  const std::set<std::string> by_hand = {"sb_cert_eventlog.bin", "short_no_action_eventlog.bin"};
  std::size_t logs = 0;
  for (const auto& file : std::filesystem::directory_iterator(eventlogs)) {
    const auto name = file.path().filename().string();
    const auto log = read(name);
    if (!log) continue;
    INFO(name);
    ++logs;
    for (const auto& problem : check_grammar(*log)) {
      INFO(problem.event << " " << to_text(problem.kind) << " " << problem.detail);
      CHECK((by_hand.contains(name) || !problem.quirk.empty()));
    }
  }
  CHECK(logs >= 15);
}
