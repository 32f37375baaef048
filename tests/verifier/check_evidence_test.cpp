#include <catch2/catch.hpp>

#include "check_machine.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;
using namespace ingot::test;
using check::BootQuestion;

TEST_CASE("check: a log that was edited does not stand for the PCRs") {
  struct Row {
    const char* name;
    std::function<void(codec::EventLog&)> edit;
    const char* finding;
  };
  const Row rows[] = {
      {"event relabelled", [](auto& log) { event_of(log, 4, 2).type = EventType::EV_EFI_PLATFORM_FIRMWARE_BLOB; },
       "log-problem"},
      {"boot application relabelled as no action",
       [](auto& log) { event_of(log, 4, 2).type = EventType::EV_NO_ACTION; }, "log-replay-differs"},
      {"cut after the last expected event of the firmware",
       [](auto& log) { log.events.erase(place_of(log, 5, 2), log.events.end()); }, "log-replay-differs"},
      {"event added", [](auto& log) { log.events.push_back(action(4, "x")); }, "log-replay-differs"},
      {"digest of one bank changed", [](auto& log) { event_of(log, 11, 1).digests[HashAlg::sha384][0] ^= 1; },
       "log-replay-differs"},
      {"startup locality invented",
       [](auto& log) {
         Buffer data = to_buffer(as_bytes(std::string_view("StartupLocality\0\x03", 17)));
         log.events.insert(log.events.begin(), {0, EventType::EV_NO_ACTION, {}, data});
       },
       "log-replay-differs"},
  };
  for (const auto& row : rows) {
    auto log = reference_log();
    row.edit(log);
    auto evidence = reference();
    evidence.event_log = codec::encode_event_log(log);  // the PCRs stay what they are
    test::sign(evidence, test::software_tpm());
    const auto verdict = verdict_on(evidence);
    INFO(row.name << "\n" << check::render_verdict(verdict));
    CHECK_FALSE(verdict.trusted());
    const auto found = kinds(verdict);
    CHECK(std::find(found.begin(), found.end(), row.finding) != found.end());
  }
}

TEST_CASE("check: a PCR that was extended without a log entry is never passed") {
  for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) {
    for (const auto bank : predicted_banks) {
      auto evidence = reference();
      evidence.pcrs[bank][pcr][3] ^= 1;
      test::sign(evidence, test::software_tpm());
      INFO("PCR " << pcr << " of " << to_text(bank));
      CHECK_FALSE(verdict_on(evidence).trusted());
    }
  }
}

TEST_CASE("check: quotes that do not hold are named") {
  struct Row {
    const char* name;
    std::function<void(Evidence&)> damage;
    const char* finding;
  };
  const auto requote = [](Evidence& evidence, const std::function<void(codec::TpmQuote&)>& change) {
    auto quote = test::quote_of(evidence);
    change(quote);
    test::sign(evidence, test::software_tpm(), quote);
  };
  const Row rows[] = {
      {"no quote", [](auto& e) { e.quote_attest.clear(); }, "quote-missing"},
      {"no signature", [](auto& e) { e.quote_signature.clear(); }, "quote-missing"},
      {"no key", [](auto& e) { e.ak_public.clear(); }, "quote-missing"},
      {"signature over other bytes", [](auto& e) { e.quote_attest.back() ^= 1; }, "quote-invalid"},
      {"signature changed", [](auto& e) { e.quote_signature.back() ^= 1; }, "quote-invalid"},
      {"signature of another key",
       [](auto& e) {
         const test::SoftwareTpm other;
         e.ak_public = codec::encode_tpm_public(other.public_area());
       },
       "quote-invalid"},
      {"wrong magic",
       [](auto& e) {
         e.quote_attest[0] = 0;
         e.quote_signature = codec::encode_tpm_signature(test::software_tpm().sign(e.quote_attest));
       },
       "quote-invalid"},
      {"an attestation of time, not a quote",
       [](auto& e) {
         e.quote_attest[5] = 0x19;
         e.quote_signature = codec::encode_tpm_signature(test::software_tpm().sign(e.quote_attest));
       },
       "quote-invalid"},
      {"trailing bytes, signed too",
       [](auto& e) {
         e.quote_attest.push_back(0);
         e.quote_signature = codec::encode_tpm_signature(test::software_tpm().sign(e.quote_attest));
       },
       "quote-invalid"},
      {"key that is not restricted",
       [](auto& e) {
         auto key = test::software_tpm().public_area();
         key.attributes &= ~codec::object_attribute::restricted;
         e.ak_public = codec::encode_tpm_public(key);
       },
       "quote-invalid"},
      {"key that may leave its TPM",
       [](auto& e) {
         auto key = test::software_tpm().public_area();
         key.attributes &= ~codec::object_attribute::fixed_tpm;
         e.ak_public = codec::encode_tpm_public(key);
       },
       "quote-invalid"},
      {"nonce of another question",
       [](auto& e) {
         e.nonce = {9};
         test::sign(e, test::software_tpm());
       },
       "quote-nonce-differs"},
      {"nonce replaced after signing",
       [](auto& e) {
         e.nonce = {1, 2, 3};
       },
       "quote-nonce-differs"},
      {"evidence of another node", [](auto& e) { e.node = "node-2"; }, "quote-nonce-differs"},
      {"userspace log replaced",
       [](auto& e) {
         e.userspace_log = codec::encode_userspace_log({});
         e.ima_log = codec::encode_ima(test::boot_aggregate_list({{HashAlg::sha256, e.pcrs.at(HashAlg::sha384)}}));
       },
       "quote-nonce-differs"},
      {"qualifying data empty", [&](auto& e) { requote(e, [](auto& q) { q.extra_data.clear(); }); },
       "quote-nonce-differs"},
      {"one PCR not quoted",
       [&](auto& e) {
         requote(e, [&](auto& q) {
           q.selections[0].pcrs.pop_back();
           q.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, q.selections, e.pcrs).value();
         });
       },
       "quote-selection-differs"},
      {"one bank not quoted",
       [&](auto& e) {
         requote(e, [&](auto& q) {
           q.selections.pop_back();
           q.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, q.selections, e.pcrs).value();
         });
       },
       "quote-selection-differs"},
      {"nothing quoted",
       [&](auto& e) { requote(e, [](auto& q) { q.selections.clear(), q.pcr_digest = crypto::sha256({}); }); },
       "quote-selection-differs"},
      {"more quoted than asked for",
       [&](auto& e) {
         requote(e, [&](auto& q) {
           q.selections[0].pcrs.push_back(23);
           q.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha256, q.selections, e.pcrs).value();
         });
       },
       "quote-selection-differs"},
      {"values that the quote does not cover", [](auto& e) { e.pcrs[HashAlg::sha256][10][0] ^= 1; },
       "quote-pcrs-differ"},
      {"digest of the bank's hash, not of the scheme's",
       [&](auto& e) {
         requote(e, [&](auto& q) {
           q.pcr_digest = codec::quoted_pcr_digest(HashAlg::sha384, q.selections, e.pcrs).value();
         });
       },
       "quote-pcrs-differ"},
      {"value missing", [](auto& e) { e.pcrs[HashAlg::sha256].erase(10); }, "pcr-missing"},
  };
  for (const auto& row : rows) {
    auto evidence = reference();
    row.damage(evidence);
    const auto verdict = verdict_on(evidence);
    INFO(row.name << "\n" << check::render_verdict(verdict));
    CHECK_FALSE(verdict.trusted());
    const auto found = kinds(verdict);
    CHECK(std::find(found.begin(), found.end(), row.finding) != found.end());
  }
}

TEST_CASE("check: without a nonce freshness is noted as not checked") {
  auto asked = question();
  asked.nonce.reset();
  const auto verdict = verdict_on(reference(), asked);
  CHECK(verdict.trusted());
  CHECK(verdict.notes.at(0) == "freshness was not checked: no nonce was given");
}

TEST_CASE("check: an empty policy passes nothing") {
  auto asked = question();
  asked.platform = nullptr;
  auto verdict = verdict_on(reference(), asked);
  CHECK(kinds(verdict) == std::vector<std::string>{"pcr-missing"});
  const Platform no_platform;
  asked.platform = &no_platform;
  CHECK_FALSE(verdict_on(reference(), asked).trusted());
  asked = question();
  Baseline none;
  asked.baseline = &none;
  CHECK_FALSE(verdict_on(reference(), asked).trusted());
  // A node on which nothing was measured, judged by policies that expect nothing.
  Evidence zero;
  for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) zero.pcrs[HashAlg::sha256][pcr] = Buffer(32, 0);
  test::sign(zero, test::software_tpm());
  BootQuestion empty;
  empty.baseline = &none;
  empty.platform = &no_platform;
  CHECK_FALSE(verdict_on(zero, empty).trusted());
  CHECK_FALSE(verdict_on({}, empty).trusted());
}

TEST_CASE("check: missing evidence is a finding, never a pass") {
  struct Row {
    const char* name;
    std::function<void(Evidence&)> damage;
    const char* finding;
  };
  const Row rows[] = {
      {"no event log", [](auto& e) { e.event_log.clear(); }, "log-problem"},
      {"no SHA-256 values", [](auto& e) { e.pcrs.erase(HashAlg::sha256); }, "bank-missing"},
      {"SHA-384 values withheld", [](auto& e) { e.pcrs.erase(HashAlg::sha384); }, "pcr-missing"},
      {"SHA-384 bank active and unextended",
       [](auto& e) {
         for (auto& [pcr, value] : e.pcrs[HashAlg::sha384]) value.assign(48, 0);
       },
       "log-replay-differs"},
  };
  for (const auto& row : rows) {
    auto evidence = reference();
    row.damage(evidence);
    test::sign(evidence, test::software_tpm());
    const auto verdict = verdict_on(evidence);
    INFO(row.name << "\n" << check::render_verdict(verdict));
    CHECK_FALSE(verdict.trusted());
    const auto found = kinds(verdict);
    CHECK(std::find(found.begin(), found.end(), row.finding) != found.end());
  }
}

TEST_CASE("check: a node with the SHA-256 bank alone is judged by it") {
  auto log = reference_log();
  constexpr HashAlg only[] = {HashAlg::sha256};
  log.algorithms = codec::algorithm_sizes(only);
  auto evidence = reference();
  evidence.pcrs.erase(HashAlg::sha384);
  test::follow_log(evidence, log);
  const auto verdict = verdict_on(evidence);
  INFO(check::render_verdict(verdict));
  CHECK(verdict.trusted());
  CHECK(verdict.pcrs.size() == 14);
  // The other way round: a platform learned there cannot judge a node that has both.
  const auto narrow = check::learn_platform(evidence).value();
  auto asked = question();
  asked.platform = &narrow;
  const auto wide = verdict_on(reference(), asked);
  CHECK_FALSE(wide.trusted());
  CHECK(kinds(wide).at(0) == "bank-missing");
}

TEST_CASE("check: malformed logs are errors, not findings") {
  auto evidence = reference();
  evidence.event_log.pop_back();
  CHECK(check::check_boot(question(), evidence).error().code == ErrorCode::malformed);
  evidence = reference();
  evidence.userspace_log = {'{'};
  CHECK(check::check_boot(question(), evidence).error().code == ErrorCode::malformed);
}
