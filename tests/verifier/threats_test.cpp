// One test for each row of the list of threats that is about logs, quotes, baselines and images; the rest of row 13 and
// rows 17 to 19 and 25 are in node_test.cpp, rows 18 and 20 also in tests/tool/enrolment_test.cpp.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "check_machine.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/fleet/enrolment.hpp"

using namespace ingot;
using namespace ingot::test;

namespace {

/// Untrusted, with this finding among the others.
void refuses(const char* name, const Verdict& verdict, std::string_view kind) {
  INFO(name << "\n" << check::render_verdict(verdict));
  CHECK_FALSE(verdict.trusted());
  const auto found = kinds(verdict);
  CHECK(std::find(found.begin(), found.end(), kind) != found.end());
}

using LogChange = std::function<void(codec::EventLog&)>;

/// The machine did what the log says.
void refuses_boot(const char* name, const LogChange& change, std::string_view kind = "event-differs") {
  refuses(name, verdict_on(machine_with(change)), kind);
}

/// The log was changed afterwards; PCRs and quote stay.
void refuses_edit(const char* name, const LogChange& change, std::string_view kind) {
  auto log = reference_log();
  change(log);
  auto evidence = reference();
  evidence.event_log = codec::encode_event_log(log);
  sign(evidence, software_tpm());
  refuses(name, verdict_on(evidence), kind);
}

void set_variable(codec::EventLog& log, std::size_t index, const std::function<void(Buffer&)>& change) {
  auto& event = event_of(log, 7, index);
  auto variable = codec::decode_measured_variable(event.data).value();
  change(variable.data);
  set_data(event, codec::encode_measured_variable(variable));
}

Event ipl(PcrIndex pcr, std::string_view text) {
  auto event = action(pcr, text);
  event.type = EventType::EV_IPL;
  return event;
}

/// All malformed, and told so.
void is_malformed(const char* name, Bytes log) {
  INFO(name);
  auto evidence = reference();
  evidence.event_log = to_buffer(log);
  sign(evidence, software_tpm());
  const auto verdict = check::check_boot(question(), evidence);
  REQUIRE_FALSE(verdict);
  CHECK(exit_status(verdict.error().code) == 2);
}

void put_u32le(Buffer& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

}  // namespace

TEST_CASE("threat 1: an event relabelled, its digest kept") {
  refuses_edit(
      "known type", [](auto& log) { event_of(log, 5, 1).type = EventType::EV_EFI_ACTION; }, "log-problem");
  refuses_edit(
      "unknown type", [](auto& log) { event_of(log, 0, 1).type = static_cast<EventType>(0x77); }, "log-problem");
  refuses_edit(
      "no action", [](auto& log) { event_of(log, 11, 0).type = EventType::EV_NO_ACTION; }, "log-replay-differs");
}

TEST_CASE("threat 2: a boot application relabelled as a firmware blob, whose data is not what is hashed") {
  refuses_boot(
      "evil application in front of ours",
      [](auto& log) {
        auto evil = other_digest(event_of(log, 4, 2));
        evil.type = EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB;
        log.events.insert(place_of(log, 4, 2), evil);
      },
      "event-unexpected");
  refuses_edit(
      "ours", [](auto& log) { event_of(log, 4, 2).type = EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB; }, "log-problem");
}

TEST_CASE("threat 3: a disguised, missing or second separator; one that reports an error") {
  refuses_boot("error", [](auto& log) { set_data(event_of(log, 4, 1), Buffer(4, 0xFF)); });
  refuses_boot(
      "missing", [](auto& log) { log.events.erase(place_of(log, 4, 1)); }, "event-missing");
  refuses_boot(
      "second",
      [](auto& log) {
        const auto copy = event_of(log, 4, 1);
        log.events.insert(place_of(log, 4, 2), copy);
      },
      "event-unexpected");
  refuses_edit(
      "disguised",
      [](auto& log) {
        event_of(log, 4, 1).data = {1, 0, 0, 0};
      },
      "log-problem");
  refuses_edit(
      "relabelled", [](auto& log) { event_of(log, 4, 1).type = EventType::EV_EFI_ACTION; }, "log-problem");
}

TEST_CASE("threat 4: Secure Boot variables late or twice, an authority early, none, no PK, debug mode") {
  refuses_boot("db behind the separator", [](auto& log) { std::swap(event_of(log, 7, 3), event_of(log, 7, 5)); });
  refuses_boot(
      "db twice",
      [](auto& log) {
        const auto copy = event_of(log, 7, 3);
        log.events.insert(place_of(log, 7, 4), copy);
      },
      "log-problem");
  refuses_boot(
      "authority in front", [](auto& log) { std::swap(event_of(log, 7, 5), event_of(log, 7, 6)); }, "log-problem");
  refuses_boot(
      "no authority", [](auto& log) { log.events.erase(place_of(log, 7, 6)); }, "log-problem");
  refuses_boot(
      "no PK", [](auto& log) { set_variable(log, 1, [](Buffer& data) { data.clear(); }); }, "log-problem");
  refuses_boot(
      "debug mode", [](auto& log) { log.events.insert(place_of(log, 7, 5), action(7, "UEFI Debug Mode")); },
      "log-problem");
}

TEST_CASE("threat 5: PCR 4 extended by the operating system, and ExitBootServices missing") {
  refuses_boot(
      "late", [](auto& log) { log.events.push_back(action(4, "late")); }, "log-problem");
  refuses_boot(
      "missing", [](auto& log) { log.events.erase(place_of(log, 5, 2), place_of(log, 5, 3) + 1); }, "event-missing");
}

TEST_CASE("threat 6: a PCR that is quoted, has no events and is not its start value") {
  for (const PcrIndex pcr : {8u, 12u, 13u, 14u}) {
    auto evidence = reference();
    evidence.pcrs[HashAlg::sha256][pcr] = Buffer(32, 7);
    sign(evidence, software_tpm());
    refuses("extended without a log", verdict_on(evidence), "pcr-differs");
    refuses("extended without a log", verdict_on(evidence), "log-replay-differs");
  }
}

TEST_CASE("threat 7: a PCR value that the quote does not cover") {
  auto evidence = reference();
  auto quote = quote_of(evidence);
  for (auto& selection : quote.selections) std::erase(selection.pcrs, 4u);
  quote.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, quote.selections, evidence.pcrs).value();
  sign(evidence, software_tpm(), quote);
  refuses("PCR 4 left out of the quote", verdict_on(evidence), "quote-selection-differs");
}

TEST_CASE("threat 8: a bank that is active and unextended, SHA-1 alone, PCR 0 or 4 of zeroes") {
  auto evidence = reference();
  for (auto& [pcr, value] : evidence.pcrs[HashAlg::sha384]) value.assign(48, 0);
  sign(evidence, software_tpm());
  refuses("SHA-384 of zeroes", verdict_on(evidence), "pcr-differs");
  evidence = reference();
  evidence.pcrs.erase(HashAlg::sha384);
  sign(evidence, software_tpm());
  refuses("a bank of the log that was not handed over", verdict_on(evidence), "pcr-missing");
  evidence = reference();
  evidence.pcrs = {{HashAlg::sha1, {}}};
  for (PcrIndex pcr = 0; pcr < pcr_count; ++pcr) evidence.pcrs[HashAlg::sha1][pcr] = Buffer(20, 0);
  sign(evidence, software_tpm());
  refuses("only SHA-1", verdict_on(evidence), "bank-missing");
  for (const PcrIndex pcr : {0u, 4u}) {
    evidence = reference();
    evidence.pcrs[HashAlg::sha256][pcr] = Buffer(32, 0);
    sign(evidence, software_tpm());
    refuses("a zero PCR", verdict_on(evidence), "pcr-differs");
  }
}

TEST_CASE("threat 9: a StartupLocality that was invented, doubled, late or of a wrong size") {
  const auto locality = [](std::size_t extra) {
    return Event{0,
                 EventType::EV_NO_ACTION,
                 {{HashAlg::sha256, Buffer(32)}, {HashAlg::sha384, Buffer(48)}},
                 Writer{}.text(std::string_view("StartupLocality\0", 16)).u8(3).fill(extra).take()};
  };
  refuses_edit(
      "invented", [&](auto& log) { log.events.insert(log.events.begin(), locality(0)); }, "log-replay-differs");
  refuses_boot(
      "true, and not the platform's",
      [&](auto& log) {
        log.events.insert(log.events.begin(), locality(0));
        log.startup_locality = 3;
      },
      "pcr-differs");
  auto log = reference_log();
  log.events.insert(log.events.begin(), 2, locality(0));
  is_malformed("twice", codec::encode_event_log(log));
  log = reference_log();
  log.events.push_back(locality(0));
  is_malformed("late", codec::encode_event_log(log));
  log = reference_log();
  log.events.insert(log.events.begin(), locality(1));
  is_malformed("of a wrong size", codec::encode_event_log(log));
}

TEST_CASE("threat 10: EV_IPL text that differs from the hashed bytes") {
  auto log = reference_log();
  auto phase = ipl(12, "systemd.debug_shell=1");
  phase.data = to_buffer(as_bytes("quiet"));
  log.events.push_back(phase);
  auto evidence = reference();
  follow_log(evidence, log);
  const auto verdict = verdict_on(evidence);
  refuses("another text", verdict, "event-unexpected");
  // The text is shown for what it is: anybody could have written it.
  const auto* finding = find(verdict, "pcr 12, boot loader");
  REQUIRE(finding != nullptr);
  CHECK(contains(finding->observed, to_hex(phase.digests.at(HashAlg::sha256))));
}

TEST_CASE("threat 11: truncated, padded, oversized and lying logs") {
  const auto whole = reference().event_log;
  is_malformed("truncated", Bytes(whole).first(whole.size() - 1));
  auto padded = whole;
  padded.push_back(0);
  is_malformed("padded", padded);
  is_malformed("nothing but zeroes", Buffer(16, 0));
  auto log = reference_log();
  log.events.front().pcr = 0xFFFFFFFF;
  is_malformed("PCR index 0xFFFFFFFF", codec::encode_event_log(log));
  // The header event: 32 bytes in front of its data, the number of algorithms 24 bytes into them.
  auto lying = whole;
  put_u32le(lying, 32 + 24, 0xFFFFFFFF);
  is_malformed("2^32 algorithms", lying);
  lying = whole;
  lying[32 + 28 + 4] = lying[32 + 28];
  lying[32 + 28 + 5] = lying[32 + 28 + 1];
  is_malformed("an algorithm twice", lying);
  lying = whole;
  lying[32 + 28 + 2] ^= 1;
  is_malformed("a digest size that is none", lying);
  lying = whole;
  put_u32le(lying, 28, 0xFFFFFFFF);
  is_malformed("a header of 4 GiB", lying);
  is_malformed("a digest count that lies", Writer{}.bytes(whole).u32le(0).u32le(4).u32le(0xFFFFFFFF).fill(64).take());
}

TEST_CASE("threat 12: a log cut behind the last golden event, or in front of an evil one") {
  refuses_edit(
      "cut", [](auto& log) { log.events.erase(place_of(log, 5, 2), log.events.end()); }, "log-replay-differs");
  auto evidence = machine_with([](auto& log) { log.events.push_back(ipl(12, "evil")); });
  evidence.event_log = reference().event_log;
  sign(evidence, software_tpm());
  refuses("the evil event hidden", verdict_on(evidence), "log-replay-differs");
  evidence.pcrs[HashAlg::sha256] = reference().pcrs.at(HashAlg::sha256);
  sign(evidence, software_tpm());
  refuses("one bank put right", verdict_on(evidence), "log-replay-differs");
}

TEST_CASE("threat 14: wrong magic, wrong type, trailing bytes, a signature over other bytes") {
  const auto resigned = [](const std::function<void(Buffer&)>& change) {
    auto evidence = reference();
    change(evidence.quote_attest);
    evidence.quote_signature = codec::encode_tpm_signature(software_tpm().sign(evidence.quote_attest));
    return verdict_on(evidence);
  };
  refuses("magic", resigned([](Buffer& attest) { attest[0] ^= 1; }), "quote-invalid");
  refuses("type", resigned([](Buffer& attest) { attest[5] ^= 1; }), "quote-invalid");
  refuses("trailing bytes", resigned([](Buffer& attest) { attest.push_back(0); }), "quote-invalid");
  auto evidence = reference();
  evidence.quote_attest[10] ^= 1;
  refuses("other bytes", verdict_on(evidence), "quote-invalid");
  evidence = reference();
  evidence.quote_signature.push_back(0);
  refuses("bytes behind the signature", verdict_on(evidence), "quote-invalid");
}

TEST_CASE("threat 15: a selection smaller than, or other than, what the policy needs") {
  struct Row {
    const char* name;
    std::function<void(codec::PcrSelections&)> change;
  };
  for (const auto& row :
       {Row{"a bank less", [](auto& s) { s.pop_back(); }}, Row{"a bank twice", [](auto& s) { s.push_back(s.front()); }},
        Row{"a PCR more", [](auto& s) { s.front().pcrs.push_back(16); }},
        Row{"one bank empty", [](auto& s) { s.front().pcrs.clear(); }}, Row{"nothing", [](auto& s) { s.clear(); }}}) {
    auto evidence = reference();
    auto quote = quote_of(evidence);
    row.change(quote.selections);
    quote.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, quote.selections, evidence.pcrs).value();
    sign(evidence, software_tpm(), quote);
    refuses(row.name, verdict_on(evidence), "quote-selection-differs");
  }
}

TEST_CASE("threat 16: one quote verified and another judged") {
  // Values of a healthy machine beside the quote of a sick one: there is one quote, and its digest decides.
  auto evidence = machine_with([](auto& log) { log.events.push_back(ipl(12, "evil")); });
  evidence.pcrs = reference().pcrs;
  evidence.event_log = reference().event_log;
  refuses("values of another machine", verdict_on(evidence), "quote-pcrs-differ");
  CHECK_FALSE(codec::decode_evidence(as_bytes(R"({"format":"ingot-evidence/1","quote":{},"quote":{}})")));
}

TEST_CASE("threat 20: a node id, or a TPM, that is bound already") {
  const Enrolment known{"gpu-07", std::string(64, 'a'), {1}, "allow-list", {}};
  auto other_tpm = known, other_node = known, again = known;
  other_tpm.ek_sha256 = std::string(64, 'b');
  other_node.node = "gpu-08";
  again.ak_public = {2};
  CHECK_FALSE(fleet::check_bound_once({known}, other_tpm));
  CHECK_FALSE(fleet::check_bound_once({known}, other_node));
  CHECK(fleet::check_bound_once({known}, again));
  CHECK(fleet::check_bound_once({}, known));
}

TEST_CASE("threat 21: a baseline that is revoked, over, older than what was accepted, or of another role or platform") {
  auto asked = question();
  asked.now = 1'800'000'000;
  asked.accepted = {{baseline().profile, baseline().version}};
  CHECK(verdict_on(reference(), asked).trusted());
  asked.accepted = {{baseline().profile, baseline().version + 1}};
  CHECK(kinds(verdict_on(reference(), asked)) == std::vector<std::string>{"release-older"});
  asked.accepted.clear();
  asked.revoked = {{baseline().profile, baseline().version, "CVE-2026-0001"}};
  const auto revoked = verdict_on(reference(), asked);
  CHECK(kinds(revoked) == std::vector<std::string>{"release-revoked"});
  CHECK(revoked.findings.front().cause == "CVE-2026-0001");
  asked.revoked.front().version += 1;
  CHECK(verdict_on(reference(), asked).trusted());
  auto over = baseline();
  over.not_after = asked.now - 1;
  asked.baseline = &over;
  CHECK(kinds(verdict_on(reference(), asked)) == std::vector<std::string>{"release-expired"});
  over.not_after = asked.now;
  CHECK(verdict_on(reference(), asked).trusted());
  auto other_role = baseline();
  for (auto& event : other_role.events)
    if (event.cause == ".cmdline") event.digests = crypto::hash_banks(as_bytes("another role"));
  asked.baseline = &other_role;
  refuses("another role's image", verdict_on(reference(), asked), "event-differs");
  auto other_platform = platform();
  other_platform.events[1].digests = crypto::hash_banks(as_bytes("another machine class"));
  asked.baseline = &baseline();
  asked.platform = &other_platform;
  refuses("another platform", verdict_on(reference(), asked), "event-differs");
  // Unsigned and forged ones are refused before they are read.
  codec::DsseEnvelope envelope;
  envelope.payload_type = codec::in_toto_payload_type;
  envelope.payload = to_buffer(as_bytes(codec::encode_baseline_statement(baseline())));
  const auto key = codec::public_key(software_tpm().public_area()).value();
  CHECK_FALSE(codec::open_dsse(envelope, codec::in_toto_payload_type, key));
}

TEST_CASE("threat 22: an old release that still boots is named, distinct from the unknown") {
  auto wanted = baseline();
  wanted.version += 1;
  for (auto& event : wanted.events)
    if (event.cause == ".initrd") event.digests = crypto::hash_banks(as_bytes("newer"));
  wanted.pcrs.clear();
  wanted.uki_authenticode_sha256 = std::string(64, 'a');
  auto asked = question();
  asked.baseline = &wanted;
  refuses("unknown", verdict_on(reference(), asked), "event-differs");
  CHECK(kinds(verdict_on(reference(), asked)).front() != "known-other-release");
  asked.other_releases = {baseline()};
  const auto verdict = verdict_on(reference(), asked);
  REQUIRE(kinds(verdict).front() == "known-other-release");
  CHECK(contains(verdict.findings.front().observed, fmt::format("version {}", baseline().version)));
}

TEST_CASE("threat 23: what was changed on the disk or in the firmware's settings is named") {
  struct Row {
    const char* name;
    LogChange change;
    const char* kind;
    const char* subject;
  };
  const Row rows[] = {
      {"another UKI, signed by db", [](auto& log) { event_of(log, 4, 2) = other_digest(event_of(log, 4, 2)); },
       "event-differs", "pcr 4, UKI"},
      {"re-signed by another key of db", [](auto& log) { event_of(log, 7, 6) = other_digest(event_of(log, 7, 6)); },
       "event-differs", "pcr 7, db authority"},
      {"initrd swapped", [](auto& log) { event_of(log, 11, 7) = other_digest(event_of(log, 11, 7)); }, "event-differs",
       "pcr 11, .initrd"},
      {"root hash changed with the command line",
       [](auto& log) { event_of(log, 11, 5) = other_digest(event_of(log, 11, 5)); }, "event-differs",
       "pcr 11, .cmdline"},
      {"addon dropped on the ESP", [](auto& log) { log.events.push_back(ipl(12, "x")); }, "event-unexpected",
       "pcr 12, boot loader"},
      {"credential as a system extension", [](auto& log) { log.events.push_back(ipl(13, "x")); }, "event-unexpected",
       "pcr 13, boot loader"},
      {"partition table changed", [](auto& log) { event_of(log, 5, 1) = other_digest(event_of(log, 5, 1)); },
       "event-differs", "pcr 5, GPT"},
      {"boot entry added", [](auto& log) { log.events.insert(place_of(log, 1, 3), other_digest(event_of(log, 1, 3))); },
       "event-unexpected", "pcr 1, Boot0002"},
      {"Secure Boot off", [](auto& log) { set_variable(log, 0, [](Buffer& data) { data = {0}; }); }, "event-differs",
       "pcr 7, SecureBoot"},
      {"setup mode", [](auto& log) { set_variable(log, 1, [](Buffer& data) { data.clear(); }); }, "event-differs",
       "pcr 7, PK"},
      {"dbx emptied", [](auto& log) { set_variable(log, 4, [](Buffer& data) { data.clear(); }); }, "event-differs",
       "pcr 7, dbx"},
      {"db widened",
       [](auto& log) { set_variable(log, 3, [](Buffer& data) { data.insert(data.end(), data.begin(), data.end()); }); },
       "event-differs", "pcr 7, db"},
      {"firmware changed", [](auto& log) { event_of(log, 0, 2) = other_digest(event_of(log, 0, 2)); }, "event-differs",
       "pcr 0, DXEFV"},
      {"option ROM added",
       [](auto& log) {
         const Event rom{2, EventType::EV_EFI_BOOT_SERVICES_DRIVER, crypto::hash_banks(as_bytes("rom")), Buffer(32)};
         log.events.insert(place_of(log, 2, 0), rom);
       },
       "event-unexpected", "pcr 2, option ROM"},
  };
  for (const auto& row : rows) {
    const auto verdict = verdict_on(machine_with(row.change));
    refuses(row.name, verdict, row.kind);
    INFO(row.name << "\n" << check::render_verdict(verdict));
    CHECK(find(verdict, row.subject) != nullptr);
  }
}

TEST_CASE("threat 24: credentials that the host or BMC injects") {
  // SMBIOS strings change the measured tables; what reaches systemd-stub as a credential is in PCR 12.
  refuses_boot(
      "SMBIOS",
      [](auto& log) {
        const Event tables{1, EventType::EV_EFI_HANDOFF_TABLES, crypto::hash_banks(as_bytes("tables")), Buffer(8)};
        log.events.insert(place_of(log, 1, 0), tables);
      },
      "event-unexpected");
  refuses_boot(
      "fw_cfg", [](auto& log) { log.events.push_back(ipl(12, "io.systemd.credential:x=y")); }, "event-unexpected");
}

TEST_CASE("threat 26: a node that was updated by half") {
  refuses_boot("new UKI, old GPT", [](auto& log) {
    event_of(log, 4, 2) = other_digest(event_of(log, 4, 2));
    event_of(log, 11, 5) = other_digest(event_of(log, 11, 5));
  });
  const auto verdict =
      verdict_on(machine_with([](auto& log) { event_of(log, 5, 1) = other_digest(event_of(log, 5, 1)); }));
  refuses("new GPT, old UKI", verdict, "event-differs");
  CHECK(find(verdict, "pcr 5, GPT") != nullptr);
  CHECK(find(verdict, "pcr 4, UKI") == nullptr);
}
