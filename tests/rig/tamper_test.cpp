// Attacks on the small image, each with the finding that it must cause. Those that need a full userspace are in
// tests/rig/full.
#include "ingot/rig/tamper.hpp"

#include <algorithm>

#include "ingot/check/boot.hpp"
#include "ingot/codec/variable_store.hpp"
#include "ingot/measure/predict.hpp"
#include "small.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
using rig::TamperCase;

namespace {

Buffer db_of(const std::string& store_path) {
  for (const auto& row : must(codec::decode_variable_store(must(read_file(store_path, 16u << 20)))))
    if (row.name == "db") return row.data;
  return {};
}

/// A small image, its baseline, and the platform that a clean boot of it reports.
struct Judged {
  Judged() {
    out = fixture.cast("image");
    const auto disk = must(file_source(out + "/" + builder::output::disk));
    const auto uki = must(file_source(out + "/" + builder::output::uki));
    baseline = must(measure::predict_image({disk.get(), uki.get(), db_of(out + "/" + builder::output::vars), {}}));
    const auto clean = boot(SmallFixture::request(out));
    REQUIRE(clean.end == BootEnd::evidence);
    platform = must(check::learn_platform(clean.evidence));
  }

  rig::BootOutcome attack(TamperCase tamper) {
    request = SmallFixture::request(out);
    const std::string scratch = fixture.folder.path() + "/" + to_text(tamper);
    std::filesystem::create_directory(scratch);
    must(rig::tamper({tamper, fixture.image.keys, fixture.image.vars_template, scratch}, request));
    return boot(request);
  }

  Verdict verdict(const Evidence& evidence) const {
    check::BootQuestion question;
    question.baseline = &baseline;
    question.platform = &platform;
    question.nonce = request.nonce;
    return must(check::check_boot(question, evidence));
  }

  SmallFixture fixture;
  std::string out;
  Baseline baseline;
  Platform platform;
  rig::BootRequest request;
};

bool names(const Verdict& verdict, std::string_view subject) {
  return std::any_of(verdict.findings.begin(), verdict.findings.end(),
                     [&](const Finding& finding) { return finding.subject.find(subject) != std::string::npos; });
}

}  // namespace

TEST_CASE("tamper: firmware refuses an unsigned UKI and a stranger's, without a time-out") {
  Judged judged;
  for (const auto tamper : {TamperCase::unsigned_uki, TamperCase::stranger}) {
    INFO(to_text(tamper));
    const auto outcome = judged.attack(tamper);
    CHECK(outcome.end == BootEnd::refused);
    CHECK(outcome.seconds < judged.request.timeout_seconds / 2);
    CHECK_FALSE(outcome.reason.empty());
  }
}

TEST_CASE("tamper: what boots all the same is found out, with the component named") {
  struct Row {
    TamperCase tamper;
    const char* subject;
  };
  const Row rows[] = {{TamperCase::cmdline, ".cmdline"},
                      {TamperCase::addon, "pcr 12"},
                      {TamperCase::credential, "pcr 12"},
                      {TamperCase::partition, "pcr 5"},
                      {TamperCase::db_certificate, "db"}};
  Judged judged;
  for (const auto& row : rows) {
    const auto outcome = judged.attack(row.tamper);
    INFO(to_text(row.tamper) << ": " << to_text(outcome.end) << " " << outcome.reason << "\n" << outcome.serial_tail);
    REQUIRE(outcome.end == BootEnd::evidence);
    const auto verdict = judged.verdict(outcome.evidence);
    INFO(check::render_verdict(verdict));
    CHECK_FALSE(verdict.trusted());
    CHECK(names(verdict, row.subject));
    for (const auto& finding : verdict.findings) CHECK_FALSE(finding.cause.empty());
  }
}
