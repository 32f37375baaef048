// Keys are replaced and images revoked on a machine whose firmware plays along or does not: what `ingot keys plan` and
// `ingot keys revoke` write, taken by firmware from the agent, step by step.
#include <nlohmann/json.hpp>

#include "guest.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::test;
using rig::BootEnd;
namespace fs = std::filesystem;

namespace {

std::string program() { return std::string(INGOT_BUILD) + "/ingot"; }

builder::Completed run_ingot(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program());
  return must(builder::run({.argv = std::move(arguments)}));
}
void ingot_must(std::vector<std::string> arguments) {
  const auto done = run_ingot(std::move(arguments));
  INFO(done.error_tail);
  REQUIRE(done.exit_code == 0);
}

codec::DsseEnvelope signed_by_baseline_key(const std::string& keys, const std::string& statement) {
  const auto key = must(signer::SigningKey::load(signer::KeyFolder{keys}.key("baseline")));
  return must(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key));
}

template <typename Decode>
auto opened(const std::string& path, const std::string& keys, Decode decode) {
  const auto key = must(signer::SigningKey::load(signer::KeyFolder{keys}.key("baseline")));
  const auto envelope = must(codec::decode_dsse(must(read_file(path, 16u << 20))));
  return must(decode(must(codec::open_dsse(envelope, codec::in_toto_payload_type, key.public_key()))));
}

struct Rotation {
  SmallFixture fixture;
  std::string path = fixture.folder.path(), keys = fixture.image.keys;

  /// An image cast with the keys of a folder, and its signed baseline.
  std::string release(const std::string& name, const std::string& key_folder, std::uint64_t version) {
    fixture.image.keys = key_folder;
    auto out = fixture.cast(name, " ingot.test=" + name);
    const auto disk = must(file_source(out + "/" + builder::output::disk));
    const auto uki = must(file_source(out + "/" + builder::output::uki));
    auto baseline =
        must(measure::predict_image({disk.get(), uki.get(), variable_of(out + "/" + builder::output::vars, "db"), {}}));
    baseline.profile = "small";
    baseline.role = "test";
    baseline.version = version;
    const auto envelope = signed_by_baseline_key(keys, codec::encode_baseline_statement(baseline));
    must(write_file(out + "/" + builder::output::baseline, as_bytes(codec::encode_dsse(envelope))));
    return out;
  }
  [[nodiscard]] std::string store() const { return path + "/node/VARS.fd"; }
  [[nodiscard]] rig::BootRequest request(const std::string& image, const std::string& vars) const {
    auto boot = SmallFixture::request(image);
    boot.vars = vars;
    boot.node_state = path + "/node";
    boot.serial_log = path + "/node.serial";
    return boot;
  }
  /// A guest of ours that hands a step's updates to firmware.
  void take(const std::string& name, const std::string& key_folder, const std::string& vars,
            const std::vector<std::string>& step_folders) {
    Guest guest{efivars_steps, {}};
    std::vector<std::string> told;
    for (std::size_t i = 0; i < step_folders.size(); ++i)
      for (const char* kind : {"replace", "append"}) {
        const auto from = step_folders[i] + "/" + kind;
        if (!fs::exists(from)) continue;
        const auto to = "/" + std::to_string(i) + kind;
        for (const auto& file : fs::directory_iterator(from))
          guest.files[to + "/" + file.path().filename().string()] = must(read_file(file.path(), 1u << 20));
        told.push_back("/ingot-agent secureboot enroll " + to + (kind == std::string("append") ? " --append" : ""));
      }
    guest.steps.insert(guest.steps.end(), told.begin(), told.end());
    const auto image = cast_guest(fixture, name, key_folder, guest);
    const auto taking = request(image, vars);
    REQUIRE(boot(taking).end == BootEnd::evidence);
    const std::string console(as_text(must(read_file(taking.serial_log, 64u << 20))));
    for (const auto& step : told) said_by(console, step);
  }
};

nlohmann::json plan_of(const std::string& folder) {
  return nlohmann::json::parse(as_text(must(read_file(folder + "/plan.json", 1u << 20))));
}
std::string planned_pcr_7(const std::string& folder, std::size_t step, std::size_t release) {
  return plan_of(folder)["steps"][step]["releases"][release]["pcr7"];
}
std::string pcr_7(const rig::BootOutcome& outcome) { return to_hex(outcome.evidence.pcrs.at(HashAlg::sha256).at(7)); }

std::vector<ExpectedEvent> variables_share(const Platform& platform) {
  std::vector<ExpectedEvent> events;
  for (const auto& event : platform.events)
    if (event.pcr == 7) events.push_back(event);
  return events;
}

}  // namespace

TEST_CASE("rotation: db, KEK and PK are replaced in steps that boot, and the old image is refused and named") {
  Rotation rig;
  const auto next = rig.path + "/next", plan = rig.path + "/plan";
  const auto old_release = rig.release("old", rig.keys, 1);
  ingot_must({"keys", "next", "db", "--keys", rig.keys, "--out", next});
  const auto new_release = rig.release("new", next, 2);
  const auto vars = old_release + "/" + builder::output::vars;

  // Today: the old release starts and is judged, the new one is refused.
  const auto today = boot(rig.request(old_release, vars));
  REQUIRE(today.end == BootEnd::evidence);
  const auto platform = must(check::learn_platform(today.evidence));
  const auto signed_platform = signed_by_baseline_key(rig.keys, codec::encode_platform_statement(platform));
  must(write_file(rig.path + "/platform.json", as_bytes(codec::encode_dsse(signed_platform))));
  CHECK(boot(rig.request(new_release, vars)).end == BootEnd::refused);

  // A plan that would leave nothing to start is none.
  const std::vector<std::string> common = {"--keys",     rig.keys,
                                           "--next",     next,
                                           "--vars",     rig.store(),
                                           "--platform", rig.path + "/platform.json",
                                           "--time",     "2026-05-01 12:00:00"};
  const auto rotate = [&](const std::string& out, const std::vector<std::string>& releases) {
    std::vector<std::string> words = {"keys", "plan", "rotate", "db", "--out", out};
    words.insert(words.end(), common.begin(), common.end());
    for (const auto& release : releases) words.insert(words.end(), {"--release", release});
    return run_ingot(words);
  };
  const auto refused = rotate(plan, {old_release});
  CHECK(refused.exit_code == 3);
  CHECK_THAT(refused.error_tail, Catch::Contains("after step 2 (revoke) none of the releases given would start"));
  CHECK_FALSE(fs::exists(plan));
  const auto planned = rotate(plan, {old_release, new_release});
  INFO(planned.error_tail);
  REQUIRE(planned.exit_code == 0);
  CHECK_THAT(planned.error_tail, Catch::Contains("small 1 does NOT start: signature 1 is under"));

  // For whom has volumes: all that PCR 7 will be; nobody knows it without the machines' platform.
  CHECK(plan_of(plan)["next_pcr7"] ==
        nlohmann::json({planned_pcr_7(plan, 0, 0), planned_pcr_7(plan, 0, 1), planned_pcr_7(plan, 1, 1)}));

  // Step 1: both start, and measure what the plan says.
  rig.take("first", rig.keys, vars, {plan + "/1-overlap"});
  const auto old_beside = boot(rig.request(old_release, vars));
  const auto new_beside = boot(rig.request(new_release, vars));
  REQUIRE(old_beside.end == BootEnd::evidence);
  REQUIRE(new_beside.end == BootEnd::evidence);
  CHECK(pcr_7(old_beside) == planned_pcr_7(plan, 0, 0));
  CHECK(pcr_7(new_beside) == planned_pcr_7(plan, 0, 1));
  CHECK(pcr_7(old_beside) != pcr_7(new_beside));

  // Step 2, from the new release's own key: firmware refuses the old one.
  rig.take("second", next, vars, {plan + "/2-revoke"});
  CHECK(boot(rig.request(old_release, vars)).end == BootEnd::refused);
  const auto request = rig.request(new_release, vars);
  const auto alone = boot(request);
  REQUIRE(alone.end == BootEnd::evidence);
  CHECK(pcr_7(alone) == planned_pcr_7(plan, 1, 1));
  const auto cast = must(signer::secure_boot_keys(signer::KeyFolder{next}));
  CHECK(variable_of(rig.store(), "db") == cast.db);
  CHECK(variable_of(rig.store(), "dbx") == cast.dbx);

  // What the plan signed is what a machine measures that was learned from afterwards, and judges its boot.
  const auto after = opened(plan + "/2-revoke/platform.json", rig.keys, codec::decode_platform_statement);
  const auto learned = must(check::learn_platform(alone.evidence));
  CHECK(variables_share(after) == variables_share(learned));
  auto baseline = opened(plan + "/2-revoke/small-2.json", rig.keys, codec::decode_baseline_statement);
  check::BootQuestion question;
  question.baseline = &baseline;
  question.platform = &learned;
  question.nonce = request.nonce;
  CHECK(must(check::check_boot(question, alone.evidence)).trusted());

  // A node that still runs the old image, on variables that still allow it, is named.
  question.nonce.reset();
  question.other_releases = {opened(plan + "/1-overlap/small-1.json", rig.keys, codec::decode_baseline_statement)};
  const auto verdict = must(check::check_boot(question, old_beside.evidence));
  CHECK_FALSE(verdict.trusted());
  const auto told = check::render_verdict(verdict);
  INFO(told);
  CHECK(told.find("dbx") != std::string::npos);
  CHECK(told.find("version 1") != std::string::npos);

  // KEK and PK: nothing that starts depends on them, and a machine takes all their steps in one boot.
  const auto third = rig.path + "/third", fourth = rig.path + "/fourth";
  ingot_must({"keys", "next", "KEK", "--keys", next, "--out", third});
  ingot_must({"keys", "plan", "rotate", "KEK", "--keys", next, "--next", third, "--vars", rig.store(), "--release",
              new_release, "--time", "2026-06-01 12:00:00", "--out", rig.path + "/kek"});
  ingot_must({"keys", "next", "PK", "--keys", third, "--out", fourth});
  ingot_must({"keys", "plan", "rotate", "PK", "--keys", third, "--next", fourth, "--vars", rig.store(), "--release",
              new_release, "--time", "2026-07-01 12:00:00", "--out", rig.path + "/pk"});
  CHECK(plan_of(rig.path + "/kek")["next_pcr7"].empty());
  rig.take("third-guest", next, vars,
           {rig.path + "/kek/1-overlap", rig.path + "/kek/2-revoke", rig.path + "/pk/1-replace"});
  const auto owned = must(signer::secure_boot_keys(signer::KeyFolder{fourth}));
  CHECK(variable_of(rig.store(), "PK") == owned.pk);
  CHECK(variable_of(rig.store(), "KEK") == owned.kek);

  // The new KEK revokes by digest; what is needed is not revoked.
  const auto last_release = rig.release("last", fourth, 3);
  const auto revoke = [&](const std::string& needed) {
    return run_ingot({"keys", "revoke", "--uki", new_release, "--release", needed, "--keys", fourth, "--vars",
                      rig.store(), "--time", "2026-08-01 12:00:00", "--out", rig.path + "/revocation"});
  };
  const auto needed = revoke(new_release);
  CHECK(needed.exit_code == 3);
  CHECK_THAT(needed.error_tail, Catch::Contains("is needed and would not start any more: its sha256 digest"));
  CHECK_FALSE(fs::exists(rig.path + "/revocation"));
  REQUIRE(revoke(last_release).exit_code == 0);
  rig.take("fourth-guest", fourth, vars, {rig.path + "/revocation/1-revoke"});
  CHECK(boot(rig.request(new_release, vars)).end == BootEnd::refused);
  const auto last = boot(rig.request(last_release, vars));
  REQUIRE(last.end == BootEnd::evidence);
  CHECK(pcr_7(last) == planned_pcr_7(rig.path + "/revocation", 0, 0));
}
