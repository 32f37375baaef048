// UKIs behind systemd-boot and behind shim, under Secure Boot: what is measured is what was predicted, and a
// stranger's UKI does not start.
#include "guest.hpp"
#include "ingot/builder/boot_chain.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/image.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/rig/tamper.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;

namespace {

struct ChainFixture : SmallFixture {
  explicit ChainFixture(BootChain chain) {
    image.chain = chain;
    image.first_stage = must(builder::first_stage_of(base, chain));
    learner = cast("learner");
    judged = cast("judged", " ingot.test=judged");
  }
  std::string learner, judged;
};

std::string file_of(const std::string& out, const char* name) { return out + "/" + name; }

/// From the disk's bytes and the variables of its machine alone.
Baseline predict(const std::string& out) {
  const auto image = must(check::open_image(must(file_source(file_of(out, builder::output::disk)))));
  const auto vars = file_of(out, builder::output::vars);
  // The initrd is no systemd: no phase is measured.
  return must(measure::predict_image(
      {image.disk.get(), image.uki.get(), variable_of(vars, "db"), {}, {}, image.first(variable_of(vars, "MokList"))}));
}

std::vector<std::string> causes(const Baseline& baseline, PcrIndex pcr) {
  std::vector<std::string> out;
  for (const auto& event : baseline.events)
    if (event.pcr == pcr && event.optional_block.empty()) out.push_back(event.cause);
  return out;
}

/// Boots the node twice, since shim writes variables on its first; nothing differs either time.
void check_trusted(const ChainFixture& fixture, const Baseline& baseline, const Platform& platform) {
  auto request = SmallFixture::request(fixture.judged);
  request.node_state = fixture.folder.path() + "/node";
  check::BootQuestion question;
  question.baseline = &baseline;
  question.platform = &platform;
  for (int i = 1; i <= 2; ++i) {
    request.nonce = crypto::random_bytes(32);
    question.nonce = request.nonce;
    const auto outcome = boot(request);
    REQUIRE(outcome.end == BootEnd::evidence);
    const auto verdict = must(check::check_boot(question, outcome.evidence));
    INFO("boot " << i << "\n" << check::render_verdict(verdict));
    CHECK(verdict.trusted());
    std::size_t equal = 0;
    for (const auto& line : verdict.pcrs) {
      if (line.pcr != 4 && line.pcr != 5 && line.pcr != 7 && line.pcr != 14) continue;
      INFO(to_text(line.bank) << " PCR " << line.pcr);
      CHECK_FALSE(line.expected.empty());
      CHECK(line.expected == line.observed);
      ++equal;
    }
    CHECK(equal == 4 * std::size(predicted_banks));
  }
}

void check_stranger_refused(const ChainFixture& fixture) {
  auto request = SmallFixture::request(fixture.judged);
  const std::string scratch = fixture.folder.path() + "/stranger";
  std::filesystem::create_directory(scratch);
  must(rig::tamper({rig::TamperCase::stranger, {}, {}, scratch}, request));
  const auto outcome = boot(request);
  INFO(outcome.serial_tail);
  CHECK(outcome.end == BootEnd::refused);
}

Platform learn(const ChainFixture& fixture) {
  const auto reference = boot(SmallFixture::request(fixture.learner));
  REQUIRE(reference.end == BootEnd::evidence);
  return must(check::learn_platform(reference.evidence));
}

}  // namespace

TEST_CASE("systemd-boot and UKI: PCR 4, 5, 7 and 14 are the predicted ones, and a stranger's UKI is refused") {
  const ChainFixture fixture(BootChain::systemd_boot);
  const auto baseline = predict(fixture.judged);
  CHECK(causes(baseline, 4) ==
        std::vector<std::string>{"Calling EFI Application from Boot Option", "separator", "systemd-boot", "UKI"});
  const auto platform = learn(fixture);
  check_trusted(fixture, baseline, platform);
  check_stranger_refused(fixture);

  // Another configuration starts the same UKI, and is named.
  auto files = must(builder::chain_in(fixture.judged));
  files.loader_conf = fixture.folder.path() + "/other.conf";
  must(write_file(files.loader_conf, as_bytes("timeout 1\n")));
  auto request = SmallFixture::request(fixture.judged);
  request.disk = fixture.folder.path() + "/other.raw";
  must(rig::make_probe_disk(file_of(fixture.judged, builder::output::uki), request.disk, files));
  const auto outcome = boot(request);
  REQUIRE(outcome.end == BootEnd::evidence);
  check::BootQuestion question;
  question.baseline = &baseline;
  question.platform = &platform;
  const auto verdict = must(check::check_boot(question, outcome.evidence));
  INFO(check::render_verdict(verdict));
  REQUIRE(verdict.findings.size() == 1);
  CHECK(verdict.findings[0].subject == "pcr 5, loader.conf");
}

TEST_CASE("shim and UKI: PCR 4, 5, 7 and 14 are the predicted ones, and a stranger's UKI is refused") {
  const ChainFixture fixture(BootChain::shim);
  // The machine knows Microsoft's certificate alone; ours is its owner's.
  const auto vars = file_of(fixture.judged, builder::output::vars);
  CHECK(variable_of(vars, "db") != variable_of(vars, "MokList"));
  const auto baseline = predict(fixture.judged);
  CHECK(causes(baseline, 4) ==
        std::vector<std::string>{"Calling EFI Application from Boot Option", "separator", "shim", "UKI"});
  CHECK(causes(baseline, 7) == std::vector<std::string>{"db authority", "SbatLevel", "MokListRT authority"});
  CHECK(causes(baseline, 14) == std::vector<std::string>{"MokList", "MokListX", "MokListTrusted"});
  check_trusted(fixture, baseline, learn(fixture));
  check_stranger_refused(fixture);
}
