#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "check_machine.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;
using namespace ingot::test;
using check::BootQuestion;

TEST_CASE("check: the boot of what was cast is trusted, and no PCR was skipped") {
  const auto verdict = verdict_on(reference());
  INFO(check::render_verdict(verdict));
  CHECK(verdict.trusted());
  CHECK(verdict.pcrs.size() == 2 * 14);
  for (const auto& line : verdict.pcrs) {
    CHECK(line.expected == line.observed);
    CHECK_FALSE(line.expected.empty());
  }
}

TEST_CASE("check: a real boot behind a failed entry is trusted once its platform is known, and noted") {
  auto evidence = test::captured("uki-boot-257-second-entry");
  const auto other_platform = check::learn_platform(evidence).value();
  auto asked = question();
  asked.platform = &other_platform;
  const auto verdict = verdict_on(evidence, asked);
  INFO(check::render_verdict(verdict));
  CHECK(verdict.trusted());
  CHECK(contains(verdict.notes.back(), "pcr 4: earlier boot entry failed (1x)"));
  // With the first machine's platform, the second disk shows in PCR 1.
  const auto foreign = verdict_on(evidence);
  CHECK(kinds(foreign) == std::vector<std::string>{"event-differs"});
  CHECK(contains(foreign.findings[0].subject, "pcr 1, BootOrder"));
  CHECK(foreign.findings[0].remedy == Remedy::update_platform);
}

TEST_CASE("check: ExitBootServices asked for again is part of the model, up to a bound") {
  const auto retried = [](std::size_t times) {
    return machine_with([&](codec::EventLog& log) {
      for (std::size_t i = 0; i < times; ++i) {
        const auto at = place_of(log, 5, 3);
        const auto failure = log.events.insert(at, action(5, "Exit Boot Services Returned with Failure"));
        log.events.insert(failure + 1, action(5, "Exit Boot Services Invocation"));
      }
    });
  };
  CHECK(verdict_on(retried(1)).trusted());
  CHECK(verdict_on(retried(max_block_repeats)).trusted());
  CHECK_FALSE(verdict_on(retried(max_block_repeats + 1)).trusted());
}

TEST_CASE("check: a changed command line is named with both texts") {
  const std::string evil = "console=ttyS0 quiet ingot.test=1 module.sig_enforce=0";
  auto evidence = machine_with([&](codec::EventLog& log) {
    auto utf16 = to_utf16le(evil);
    utf16.insert(utf16.end(), 2, 0);
    event_of(log, 9, 0).digests = crypto::hash_banks(utf16);
    event_of(log, 11, 5).digests = crypto::hash_banks(as_bytes(evil));
    event_of(log, 4, 2) = other_digest(event_of(log, 4, 2));
  });
  evidence.kernel_command_line = evil + "\n";
  const auto verdict = verdict_on(evidence);
  INFO(check::render_verdict(verdict));
  CHECK(kinds(verdict) == std::vector<std::string>{"event-differs", "event-differs", "event-differs"});
  CHECK(verdict.findings[0].subject == "pcr 11, .cmdline");
  CHECK(verdict.findings[0].expected == "console=ttyS0 quiet ingot.test=1 module.sig_enforce=1");
  CHECK(verdict.findings[0].observed == evil);
  CHECK(verdict.findings[1].subject == "pcr 9, load options");
  CHECK(verdict.findings[1].observed == evil);
  CHECK(verdict.findings[2].subject == "pcr 4, UKI");
  // A node that lies about its command line gets no word in unmarked.
  evidence.kernel_command_line = "console=ttyS0 quiet ingot.test=1 module.sig_enforce=1";
  const auto lied = verdict_on(evidence);
  CHECK(contains(find(lied, "pcr 11, .cmdline")->observed, "no digest vouches for it"));
  CHECK(contains(find(lied, "pcr 11, .cmdline")->observed, "sha256 "));
}

TEST_CASE("check: what was tampered with is named") {
  struct Row {
    const char* name;
    std::function<void(codec::EventLog&)> change;
    const char* kind;
    const char* subject;
    const char* observed;      ///< part of it
    const char* grammar = "";  ///< the rule of the log's grammar that it breaks as well
  };
  const Row rows[] = {
      {"initrd swapped", [](auto& log) { event_of(log, 11, 7) = other_digest(event_of(log, 11, 7)); }, "event-differs",
       "pcr 11, .initrd", "sha256 "},
      {"section left out", [](auto& log) { log.events.erase(place_of(log, 11, 12), place_of(log, 11, 13) + 1); },
       "event-missing", "pcr 11, .pcrpkey, name", "nothing"},
      {"section added",
       [](auto& log) {
         const auto name = to_utf16le(std::string_view(".ucode\0", 7));
         const Event event{11, EventType::EV_IPL, crypto::hash_banks(as_bytes(std::string_view(".ucode\0", 7))), name};
         const auto at = place_of(log, 11, 8);
         log.events.insert(at, {event, other_digest(event)});
       },
       "event-unexpected", "pcr 11, .ucode, name", ".ucode"},
      {"addon or credential on the ESP",
       [](auto& log) {
         auto text = to_utf16le("systemd.debug_shell=1");
         text.insert(text.end(), 2, 0);
         log.events.push_back({12, EventType::EV_IPL, crypto::hash_banks(text), text});
       },
       "event-unexpected", "pcr 12, command line added at boot", "systemd.debug_shell=1"},
      {"system extension",
       [](auto& log) {
         log.events.push_back(action(13, "x"));
         log.events.back().type = EventType::EV_IPL;
       },
       "event-unexpected", "pcr 13, boot loader", "x"},
      {"shim in between",
       [](auto& log) {
         log.events.push_back(action(14, "MokList"));
         log.events.back().type = EventType::EV_IPL;
       },
       "event-unexpected", "pcr 14, MokList", "sha256 "},
      {"PCR 4 extended after ExitBootServices", [](auto& log) { log.events.push_back(action(4, "late")); },
       "event-unexpected", "pcr 4, late", "sha256 ", "event-after-exit"},
      {"ExitBootServices missing", [](auto& log) { log.events.erase(place_of(log, 5, 2), place_of(log, 5, 3) + 1); },
       "event-missing", "pcr 5, Exit Boot Services Invocation", "nothing"},
      {"second separator",
       [](auto& log) {
         const auto copy = event_of(log, 4, 1);
         log.events.insert(place_of(log, 4, 2), copy);
       },
       "event-unexpected", "pcr 4, separator", "sha256 ", "separator-repeated"},
      {"separator missing", [](auto& log) { log.events.erase(place_of(log, 3, 0)); }, "event-missing",
       "pcr 3, separator", "nothing", "separator-missing"},
      {"separator with an error", [](auto& log) { set_data(event_of(log, 2, 0), Buffer(4, 0xFF)); }, "event-differs",
       "pcr 2, separator", "ffffffff", "separator-error"},
      {"disguised separator",
       [](auto& log) {
         set_data(event_of(log, 7, 5), {0, 0, 0, 1});
       },
       "event-differs", "pcr 7, separator", "00000001", "separator-error"},
      {"Secure Boot off",
       [](auto& log) {
         auto variable = codec::decode_measured_variable(event_of(log, 7, 0).data).value();
         variable.data = {0};
         set_data(event_of(log, 7, 0), codec::encode_measured_variable(variable));
       },
       "event-differs", "pcr 7, SecureBoot", "off"},
      {"dbx emptied",
       [](auto& log) {
         auto variable = codec::decode_measured_variable(event_of(log, 7, 4).data).value();
         variable.data.clear();
         set_data(event_of(log, 7, 4), codec::encode_measured_variable(variable));
       },
       "event-differs", "pcr 7, dbx", "empty"},
      {"db variable after the separator", [](auto& log) { std::swap(event_of(log, 7, 3), event_of(log, 7, 5)); },
       "event-differs", "pcr 7, db", "separator", "variable-order"},
      {"signed with another key of db", [](auto& log) { event_of(log, 7, 6) = other_digest(event_of(log, 7, 6)); },
       "event-differs", "pcr 7, db authority", "sha256 ", "digest-not-of-data"},
      {"boot entry added", [](auto& log) { log.events.insert(place_of(log, 1, 3), other_digest(event_of(log, 1, 3))); },
       "event-unexpected", "pcr 1, Boot0002", "EFI Internal Shell"},
      {"option ROM added",
       [](auto& log) {
         Event rom{2, EventType::EV_EFI_BOOT_SERVICES_DRIVER, crypto::hash_banks(as_bytes("rom")), Buffer(32, 0)};
         log.events.insert(place_of(log, 2, 0), rom);
       },
       "event-unexpected", "pcr 2, option ROM", "sha256 "},
      {"another firmware", [](auto& log) { event_of(log, 0, 2) = other_digest(event_of(log, 0, 2)); }, "event-differs",
       "pcr 0, DXEFV", "12582912 bytes"},
      {"another machine shape", [](auto& log) { event_of(log, 0, 1) = other_digest(event_of(log, 0, 1)); },
       "event-differs", "pcr 0, PEIFV", "917504 bytes"},
      {"phase that nothing expects",
       [](auto& log) {
         log.events.push_back(
             {11, EventType::EV_IPL, crypto::hash_banks(as_bytes("final")), to_buffer(as_bytes("final"))});
       },
       "event-unexpected", "pcr 11, phase final", "final"},
      {"event of unknown type in a judged PCR",
       [](auto& log) {
         log.events.push_back({6, static_cast<EventType>(0x1234), crypto::hash_banks({}), {}});
       },
       "event-unexpected", "pcr 6, 0x00001234", "(empty)", "type-unknown"},
      {"PCR 8 extended",
       [](auto& log) {
         log.events.push_back(action(8, "grub_cmd: ls"));
         log.events.back().type = EventType::EV_IPL;
       },
       "event-unexpected", "pcr 8, boot loader", "grub_cmd"},
  };
  for (const auto& row : rows) {
    const auto verdict = verdict_on(machine_with(row.change));
    INFO(row.name << "\n" << check::render_verdict(verdict));
    CHECK_FALSE(verdict.trusted());
    auto others = kinds(verdict);
    std::erase(others, "log-problem");
    REQUIRE(others == std::vector<std::string>{row.kind});
    const auto broken = std::count_if(verdict.findings.begin(), verdict.findings.end(), [&](const Finding& finding) {
      return finding.kind == FindingKind::log_problem && finding.observed.starts_with(row.grammar);
    });
    CHECK((broken != 0) == (*row.grammar != '\0'));
    CHECK(verdict.findings[0].subject == row.subject);
    CHECK(contains(verdict.findings[0].observed, row.observed));
    CHECK_FALSE(verdict.findings[0].cause.empty());
  }
}

TEST_CASE("check: a partition added at boot is shown beside the old ones") {
  const auto verdict = verdict_on(machine_with([](codec::EventLog& log) {
    auto data = event_of(log, 5, 1).data;
    data[92] = 2;
    const Buffer entry(data.end() - 128, data.end());
    data.insert(data.end(), entry.begin(), entry.end());
    set_data(event_of(log, 5, 1), data);
  }));
  REQUIRE(kinds(verdict) == std::vector<std::string>{"event-differs"});
  CHECK(verdict.findings[0].subject == "pcr 5, GPT");
  CHECK(verdict.findings[0].observed.size() > verdict.findings[0].expected.size());
  CHECK(contains(verdict.findings[0].cause, "partition"));
}

TEST_CASE("check: an older release is named before anything else") {
  Baseline old_release = baseline();
  auto newer = baseline();
  newer.version = 8;
  for (auto& event : newer.events)
    if (event.cause == ".initrd" || event.cause == "initrd" || event.cause == "UKI")
      for (auto& [alg, digest] : event.digests) digest[1] ^= 1;
  newer.uki_authenticode_sha256[0] = '0';
  newer.pcrs = measure::replay_expected(newer.events, image_pcrs);
  BootQuestion asked;
  asked.baseline = &newer;
  asked.platform = &platform();
  asked.other_releases = {old_release};
  const auto verdict = verdict_on(reference(), asked);
  INFO(check::render_verdict(verdict));
  REQUIRE(kinds(verdict) ==
          std::vector<std::string>{"known-other-release", "event-differs", "event-differs", "event-differs"});
  CHECK(verdict.findings[0].expected == "mini version 8");
  CHECK(verdict.findings[0].observed == "mini version 7");
  asked.other_releases.clear();
  CHECK(kinds(verdict_on(reference(), asked)).at(0) == "event-differs");
}

TEST_CASE("check: phases are measured by systemd, in its own log") {
  auto with_phases = baseline();
  for (auto& event : measure::phase_events({"enter-initrd", "leave-initrd"})) with_phases.events.push_back(event);
  auto evidence = reference();
  std::vector<Event> log;
  for (const std::string phase : {"enter-initrd", "leave-initrd"}) {
    log.push_back({11, EventType::EV_IPL, crypto::hash_banks(as_bytes(phase)), to_buffer(as_bytes(phase))});
    for (auto& [bank, values] : evidence.pcrs) values[11] = codec::extend(bank, values[11], log.back().digests[bank]);
  }
  log.push_back({15, EventType::EV_IPL, crypto::hash_banks(as_bytes("key")), to_buffer(as_bytes("cryptsetup:data"))});
  for (auto& [bank, values] : evidence.pcrs) values[15] = codec::extend(bank, values[15], log.back().digests[bank]);
  evidence.userspace_log = codec::encode_userspace_log(log);
  test::sign(evidence, test::software_tpm());
  auto asked = question();
  asked.baseline = &with_phases;
  const auto verdict = verdict_on(evidence, asked);
  INFO(check::render_verdict(verdict));
  CHECK(verdict.trusted());
  // A boot that stops before: the phase is named.
  const auto early = verdict_on(reference(), asked);
  REQUIRE(kinds(early) == std::vector<std::string>{"event-missing"});
  CHECK(early.findings[0].subject == "pcr 11, phase enter-initrd");
}

TEST_CASE("verdict: the same as data and as text") {
  const auto good = nlohmann::json::parse(check::verdict_json(verdict_on(reference())));
  CHECK(good["verdict"] == "trusted");
  CHECK(good["pcrs"].size() == 28);
  CHECK(check::render_verdict(verdict_on(reference()))
            .starts_with("trusted: mini version 7, 28 of 28 PCR values as predicted\n"));
  auto evidence = reference();
  evidence.nonce = {5};
  const auto bad = verdict_on(evidence);
  const auto json = nlohmann::json::parse(check::verdict_json(bad));
  CHECK(json["verdict"] == "untrusted");
  CHECK(json["findings"].size() == bad.findings.size());
  CHECK(json["findings"][0]["kind"] == "quote-nonce-differs");
  const auto text = check::render_verdict(bad);
  CHECK(text.starts_with("untrusted: "));
  for (const auto* part : {"expected", "observed", "cause", "do "}) CHECK(contains(text, part));
  // A hostile node does not get to steer the terminal.
  Verdict hostile;
  hostile.findings.push_back({FindingKind::event_differs, "x", "", "\x1B[2J\ntrusted", "", Remedy::investigate});
  CHECK_FALSE(contains(check::render_verdict(hostile), "\x1B"));
  CHECK_FALSE(contains(check::render_verdict(hostile), "\ntrusted"));
}
