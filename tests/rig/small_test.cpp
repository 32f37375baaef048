// Real boots of the small image under OVMF with Secure Boot, swtpm and QEMU.
#include "small.hpp"

#include <algorithm>
#include <future>

#include "ingot/base/output.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/crypto/certificate.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/rig/firmware_run.hpp"
#include "ingot/rig/probe_disk.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
namespace fs = std::filesystem;

namespace {

Buffer variable(const std::string& store_path, std::string_view name) {
  for (const auto& row : must(codec::decode_variable_store(must(read_file(store_path, 16u << 20)))))
    if (row.name == name) return row.data;
  return {};
}

Baseline predict(const std::string& out) {
  const auto disk = must(file_source(out + "/" + builder::output::disk));
  const auto uki = must(file_source(out + "/" + builder::output::uki));
  // The initrd is no systemd: no phase is measured.
  return must(measure::predict_image({disk.get(), uki.get(), variable(out + "/" + builder::output::vars, "db"), {}}));
}

void check_quote(const Evidence& evidence) {
  const auto quote = must(codec::decode_tpm_quote(evidence.quote_attest));
  const auto key = must(codec::decode_tpm_public(evidence.ak_public));
  const auto signature = must(codec::decode_tpm_signature(evidence.quote_signature));
  CHECK(codec::verify_tpm_signature(key, signature, evidence.quote_attest).has_value());
  CHECK(quote.extra_data == codec::quote_binding(evidence));
  CHECK(quote.selections.size() == std::size(predicted_banks));
  for (const auto& selection : quote.selections) CHECK(selection.pcrs.size() == codec::quoted_pcr_count);
  CHECK(quote.pcr_digest == must(codec::quoted_pcr_digest(signature.scheme.hash, quote.selections, evidence.pcrs)));
  // What was signed is this attest and no other.
  auto other = evidence.quote_attest;
  other.back() ^= 1;
  CHECK_FALSE(codec::verify_tpm_signature(key, signature, other).has_value());
}

Baseline predict_network_boot(const std::string& out) {
  const auto uki = must(file_source(out + "/" + builder::output::uki));
  return must(measure::predict_network_boot(*uki, variable(out + "/" + builder::output::vars, "db"), {}));
}

rig::BootRequest request_for(const std::string& out, const rig::MachineShape& shape) {
  auto request = SmallFixture::request(out);
  request.shape = shape;
  if (shape.http_boot) request.uki = out + "/" + builder::output::uki;
  return request;
}

/// PCR 0 as the firmware alone measures it in this machine, told by the TPM, beside what the boot's log says.
void check_firmware_run(const std::string& out, const rig::MachineShape& shape, const Evidence& booted) {
  rig::FirmwareRequest request;
  request.vars = out + "/" + builder::output::vars;
  request.shape = shape;
  std::vector<Digests> alone, logged;
  for (const auto& one : must(rig::read_extensions(must(rig::run_firmware(request, builder::silent_progress())))))
    if (one.pcr == 0) alone.push_back(one.digests);
  for (const auto& event : must(codec::decode_event_log(booted.event_log)).events)
    if (event.pcr == 0 && event.type != EventType::EV_NO_ACTION) logged.push_back(event.digests);
  CHECK(alone.size() == 4);
  CHECK(alone == logged);
}

/// Catch's macros are for one thread: what happens in another comes back as values.
struct JudgedBoot {
  Result<rig::BootOutcome> outcome;
  Result<Verdict> verdict;
};
JudgedBoot judge(const rig::BootRequest& request, check::BootQuestion question) {
  question.nonce = request.nonce;
  auto outcome = rig::boot(request, builder::silent_progress());
  auto verdict = outcome ? check::check_boot(question, outcome->evidence) : fail(outcome.error());
  return {std::move(outcome), std::move(verdict)};
}

std::size_t matching(const Verdict& verdict) {
  std::size_t equal = 0;
  for (const auto& line : verdict.pcrs) equal += !line.expected.empty() && line.expected == line.observed;
  return equal;
}

/// The verdict's words and, for a failing test, all of what differs.
std::string told(const Verdict& verdict) { return check::render_verdict(verdict); }

}  // namespace

TEST_CASE("small image: evidence is what the TPM itself says") {
  SmallFixture fixture;
  auto request = SmallFixture::request(fixture.cast("small"));
  request.read_tpm_afterwards = true;
  const auto outcome = boot(request);
  REQUIRE(outcome.end == BootEnd::evidence);
  const auto& evidence = outcome.evidence;
  CHECK(evidence.nonce == request.nonce);
  CHECK(evidence.kernel_command_line == fixture.image.parts.command_line);
  CHECK(must(crypto::Certificate::from_der(evidence.ek_certificate)).der() == evidence.ek_certificate);
  check_quote(evidence);
  REQUIRE(outcome.swtpm_pcrs.size() == 2);
  for (const auto& [bank, values] : outcome.swtpm_pcrs) {
    INFO(to_text(bank));
    REQUIRE(values.size() == pcr_count);
    CHECK(evidence.pcrs.at(bank) == values);
    CHECK(values.at(4) != Buffer(digest_size_bytes(bank)));
  }
  const auto replayed = codec::replay(must(codec::decode_event_log(evidence.event_log)));
  for (const auto bank : predicted_banks)
    for (const PcrIndex pcr : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 11u}) {
      INFO(to_text(bank) << " PCR " << pcr);
      CHECK(replayed.at(bank).at(pcr) == outcome.swtpm_pcrs.at(bank).at(pcr));
    }
}

TEST_CASE("small image: fifty clean boots on seven shapes, predicted = measured, not one false finding") {
  struct Row {
    const char* name;
    rig::MachineShape shape;
    int boots;
  };
  // Ten seconds a boot and a core each: two at a time.
  const Row rows[] = {{"plain", {2048, 2, false, false}, 8},
                      {"more memory", {3072, 2, false, false}, 7},
                      {"little memory, one vCPU", {1024, 1, false, false}, 7},
                      {"four vCPUs", {2048, 4, false, false}, 7},
                      {"network card with option ROM", {2048, 2, true, false}, 7},
                      {"second disk, network card", {2048, 2, true, true}, 7},
                      {"over HTTP", {2048, 2, false, false, true}, 7}};
  const SmallFixture fixture;
  const auto learner = fixture.cast("learner");
  const auto judged = fixture.cast("judged", " ingot.test=judged");
  const auto from_disk = predict(judged);
  const auto from_network = predict_network_boot(judged);
  std::size_t boots = 0;
  for (const auto& row : rows) {
    INFO(row.name);
    const auto reference = boot(request_for(learner, row.shape));
    REQUIRE(reference.end == BootEnd::evidence);
    check_firmware_run(learner, row.shape, reference.evidence);
    const auto platform = must(check::learn_platform(reference.evidence));
    check::BootQuestion question;
    question.baseline = row.shape.http_boot ? &from_network : &from_disk;
    question.platform = &platform;
    for (int i = 0; i < row.boots; i += 2) {
      std::vector<std::future<JudgedBoot>> pair;
      for (int k = i; k < std::min(i + 2, row.boots); ++k)
        pair.push_back(std::async(std::launch::async, judge, request_for(judged, row.shape), question));
      for (auto& one : pair) {
        const auto [outcome, verdict] = one.get();
        REQUIRE(outcome);
        REQUIRE(outcome->end == BootEnd::evidence);
        REQUIRE(verdict);
        INFO(told(*verdict));
        CHECK(verdict->trusted());
        // PCR 0-9 and 11-14 of two banks.
        CHECK(matching(*verdict) == 28);
        ++boots;
      }
    }
    // The other image is not this one: its command line is found out.
    const auto stranger = must(check::check_boot(question, reference.evidence));
    CHECK_FALSE(stranger.trusted());
    CHECK(told(stranger).find(".cmdline") != std::string::npos);
  }
  CHECK(boots == 50);
}

TEST_CASE("small image: a node's second and third boot measure what its first did") {
  SmallFixture fixture;
  auto request = SmallFixture::request(fixture.cast("small"));
  request.node_state = fixture.folder.path() + "/node";
  const auto first = boot(request);
  REQUIRE(first.end == BootEnd::evidence);
  CHECK(variable(request.node_state + "/VARS.fd", "BootOrder") != Buffer{});
  for (int i = 2; i <= 3; ++i) {
    request.nonce = crypto::random_bytes(32);
    const auto again = boot(request);
    REQUIRE(again.end == BootEnd::evidence);
    CHECK(again.evidence.ak_public == first.evidence.ak_public);  // the same TPM
    for (const auto bank : predicted_banks)
      for (PcrIndex pcr = 0; pcr < 15; ++pcr) {
        if (pcr == 10) continue;
        INFO("boot " << i << ", " << to_text(bank) << " PCR " << pcr);
        CHECK(again.evidence.pcrs.at(bank).at(pcr) == first.evidence.pcrs.at(bank).at(pcr));
      }
  }
}

TEST_CASE("small image: firmware refuses an unsigned UKI, and the rig says so at once") {
  SmallFixture fixture;
  const auto out = fixture.cast("small");
  const std::string plain = fixture.folder.path() + "/plain.efi";
  must(signer::strip_pe(must(file_source(out + "/" + builder::output::uki)), plain));
  auto request = SmallFixture::request(out);
  request.disk = fixture.folder.path() + "/unsigned.raw";
  must(rig::make_probe_disk(plain, request.disk));
  const auto outcome = boot(request);
  CHECK(outcome.end == BootEnd::refused);
  CHECK(outcome.reason.find("Access Denied") != std::string::npos);
  CHECK(outcome.evidence == Evidence{});
}

TEST_CASE("small image: a disk with nothing to start is told from a time-out") {
  SmallFixture fixture;
  auto request = SmallFixture::request(fixture.cast("small"));
  request.disk = fixture.folder.path() + "/empty.raw";
  must(write_file(request.disk, Buffer(1u << 20)));
  CHECK(boot(request).end == BootEnd::no_boot);
}

TEST_CASE("small image: the time allowed is the time taken") {
  SmallFixture fixture;
  auto request = SmallFixture::request(fixture.cast("small"));
  request.timeout_seconds = 1;
  const auto outcome = boot(request);
  CHECK(outcome.end == BootEnd::timed_out);
  CHECK(outcome.seconds < 5);
}

TEST_CASE("small image: firmware of another layout, and one that keeps variables without SMM") {
  SmallFixture fixture;
  const auto out = fixture.cast("small");
  for (const auto* firmware : {"OVMF_CODE.secboot.fd", "OVMF_CODE_4M.fd"}) {
    INFO(firmware);
    auto request = SmallFixture::request(out);
    request.firmware = std::string("/usr/share/OVMF/") + firmware;
    const auto outcome = boot(request);
    REQUIRE(outcome.end == BootEnd::evidence);
    check_quote(outcome.evidence);
  }
}
