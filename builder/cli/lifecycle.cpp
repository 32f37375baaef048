#include "lifecycle.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/codec/any_log.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/dsse.hpp"
#include "ingot/measure/predict.hpp"
#include "ingot/signer/sign.hpp"
#include "key_options.hpp"
#include "lifecycle_volumes.hpp"
#include "new_folder.hpp"
#include "signing_time.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

std::string name_of(const Baseline& baseline) { return fmt::format("{} {}", baseline.profile, baseline.version); }

Result<Outcome> outcome_of(const LifecycleInputs& inputs, const measure::EnrolledVariables& after) {
  Outcome out;
  if (inputs.platform)
    out.platform = TRY(measure::with_variables(*inputs.platform, measure::as_variables(inputs.variables),
                                               measure::as_variables(after)));
  const auto* platform = out.platform ? &*out.platform : nullptr;
  for (const auto& release : inputs.releases)
    out.releases.push_back(
        TRY_IN(release.place, check::release_after(*release.uki, release.baseline, after, platform)));
  return out;
}

Result<std::vector<Outcome>> play(const LifecycleInputs& inputs, const std::vector<signer::EnrolmentStep>& steps,
                                  MustStart must_start) {
  std::vector<Outcome> outcomes;
  for (const auto& step : steps) {
    auto outcome = TRY(outcome_of(inputs, step.after));
    std::size_t starting = 0;
    for (std::size_t i = 0; i < outcome.releases.size(); ++i) {
      starting += outcome.releases[i].boots ? 1 : 0;
      if (must_start == MustStart::all && !outcome.releases[i].boots)
        return fail(ErrorCode::usage,
                    fmt::format("{} is needed and would not start any more: {}", inputs.releases[i].place,
                                outcome.releases[i].reason),
                    "deploy a release that does not need what is revoked; then give that one as --release");
    }
    if (!outcome.releases.empty() && starting == 0)
      return fail(
          ErrorCode::usage,
          fmt::format("after step {} ({}) none of the releases given would start", outcomes.size() + 1, step.name),
          "build one with the next keys, and give its folder as --release, too");
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

std::string folder_of(std::size_t index, const signer::EnrolmentStep& step) {
  return fmt::format("{}-{}", index + 1, step.name);
}

std::string_view kind_of(const signer::EnrolmentUpdate& update) {
  return update.update.kind == codec::UpdateKind::append ? "append" : "replace";
}

Result<std::string> signed_text(const std::string& statement, const std::string& what, const signer::SigningKey& key) {
  return codec::encode_dsse(TRY(signer::sign_dsse(codec::in_toto_payload_type, as_bytes(statement), key, what)));
}

Result<void> write_step(const signer::EnrolmentStep& step, const Outcome& outcome, const std::string& folder,
                        const signer::SigningKey& baseline_key) {
  std::error_code ec;
  for (const auto& update : step.updates) {
    const auto place = fmt::format("{}/{}", folder, kind_of(update));
    fs::create_directories(place, ec);
    if (ec) return fail(io_error(fmt::format("creating {}", place), ec.value()));
    TRY(write_file(fmt::format("{}/{}.auth", place, update.update.variable->name), update.auth));
  }
  fs::create_directories(folder, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder), ec.value()));
  if (outcome.platform)
    TRY(write_file(folder + "/platform.json",
                   as_bytes(TRY(signed_text(codec::encode_platform_statement(*outcome.platform),
                                            "platform " + outcome.platform->name, baseline_key)))));
  for (const auto& release : outcome.releases)
    if (release.boots)
      TRY(write_file(fmt::format("{}/{}-{}.json", folder, release.baseline.profile, release.baseline.version),
                     as_bytes(TRY(signed_text(codec::encode_baseline_statement(release.baseline),
                                              "baseline of " + name_of(release.baseline), baseline_key)))));
  return {};
}

nlohmann::json step_json(const signer::EnrolmentStep& step, const Outcome& outcome, const Outcome& before,
                         const LifecycleInputs& inputs) {
  nlohmann::json out{{"name", step.name},
                     {"does", step.does},
                     {"updates", nlohmann::json::array()},
                     {"releases", nlohmann::json::array()}};
  for (const auto& update : step.updates)
    out["updates"].push_back({{"variable", update.update.variable->name},
                              {"kind", kind_of(update)},
                              {"time", codec::to_text(update.update.time)},
                              {"signed_by", update.update.variable->signed_by}});
  for (std::size_t i = 0; i < outcome.releases.size(); ++i) {
    const auto &release = outcome.releases[i], &earlier = before.releases[i];
    nlohmann::json one{{"release", name_of(release.baseline)},
                       {"folder", inputs.releases[i].place},
                       {"starts", release.boots},
                       {"reason", release.reason}};
    if (release.boots) one["pcr7"] = pcr_7_text(release.pcr_7);
    if (earlier.boots) one["pcr7_before"] = pcr_7_text(earlier.pcr_7);
    out["releases"].push_back(std::move(one));
  }
  return out;
}

Result<void> tell_step(std::size_t number, const signer::EnrolmentStep& step, const Outcome& outcome,
                       const Outcome& before, const std::string& out) {
  say(fmt::format("step {}, {}: {}", number + 1, step.name, step.does));
  std::string_view told;
  for (const auto& update : step.updates) {
    for (const auto& line : TRY(signer::describe_update(update.update))) say("  " + line);
    if (kind_of(update) != told)
      say(fmt::format("    on each node: ingot-agent secureboot enroll {}/{}/{}{}", out, folder_of(number, step),
                      kind_of(update), kind_of(update) == "append" ? " --append" : ""));
    told = kind_of(update);
  }
  for (std::size_t i = 0; i < outcome.releases.size(); ++i) {
    const auto &release = outcome.releases[i], &earlier = before.releases[i];
    if (!release.boots) {
      say(fmt::format("  {} does NOT start: {}", name_of(release.baseline), release.reason));
      continue;
    }
    say(fmt::format("  {} starts: {}; PCR 7 {}", name_of(release.baseline), release.reason, pcr_7_text(release.pcr_7)));
    const bool bound = is_bound(release, release.pcr_7);
    const auto closed = sealed_volumes(release.baseline, bound), all = sealed_volumes(release.baseline, false);
    if (!earlier.boots || earlier.pcr_7 == release.pcr_7 || all.empty()) continue;
    if (bound)
      say(fmt::format("    PCR 7 was {}: volumes that nodes have bound to the new value stay open ({})",
                      pcr_7_text(earlier.pcr_7), fmt::join(closed, ", ")));
    else
      say(fmt::format(
          "    PCR 7 was {}: what the TPM has sealed under it stays closed from the next boot on (volumes {}); "
          "have their recovery keys at hand",
          pcr_7_text(earlier.pcr_7), fmt::join(all, ", ")));
  }
  return {};
}

Result<DeployedRelease> read_release(const std::string& folder, const crypto::PublicKey& key) {
  DeployedRelease release{folder, TRY(file_source(folder + "/" + builder::output::uki)),
                          TRY(load_baseline(folder + "/" + builder::output::baseline, key))};
  return release;
}

Result<measure::EnrolledVariables> read_variables(const LifecycleArguments& arguments) {
  if (!arguments.vars.empty())
    return measure::enrolled_in(TRY_IN(arguments.vars, codec::decode_variable_store(TRY(read_file(
                                                           arguments.vars, codec::variable_store_size_cap_bytes)))));
  const auto evidence = TRY(load_evidence(arguments.evidence));
  return TRY_IN(arguments.evidence, measure::enrolled_in(TRY(codec::decode_event_log(evidence.event_log))));
}

}  // namespace

void add_lifecycle_options(CLI::App& command, LifecycleArguments& arguments) {
  auto* now = command.add_option_group("machines", "What the machines have enrolled now");
  now->add_option("--vars", arguments.vars, "A variable store, as VARS.fd of a build or of a virtual machine");
  now->add_option("--evidence", arguments.evidence,
                  "Evidence of one of them: its boot log has the variables (their times are not in it)");
  now->require_option(1);
  command.add_option("--platform", arguments.platform, "Their signed platform: one for after each step is written");
  command.add_option("--keys", arguments.keys, "Key folder that they were enrolled from")->required();
  command.add_option("--time", arguments.time,
                     "Of the first update, UTC, \"YYYY-MM-DD HH:MM:SS\", later than those before; default: "
                     "SOURCE_DATE_EPOCH");
  command.add_option("--out", arguments.out, "Folder to write, which must not exist")->required();
  add_pin_options(command);
}

Result<LifecycleInputs> read_lifecycle_inputs(const LifecycleArguments& arguments) {
  LifecycleInputs inputs{TRY(signer::open_keys(arguments.keys)), {}, {}, {}, {}};
  const auto time = TRY(signing_time(arguments.time));
  if (!time)
    return fail(ErrorCode::usage, "an update has a time, which decides what firmware takes for newer",
                "give --time \"YYYY-MM-DD HH:MM:SS\" (UTC), or set SOURCE_DATE_EPOCH");
  inputs.time = *time;
  inputs.variables = TRY(read_variables(arguments));
  const auto key = TRY(inputs.keys.public_half("baseline"));
  if (!arguments.platform.empty()) inputs.platform = TRY(load_platform(arguments.platform, key));
  for (const auto& folder : arguments.releases) inputs.releases.push_back(TRY(read_release(folder, key)));
  return inputs;
}

Result<void> write_steps(const LifecycleInputs& inputs, const std::vector<signer::EnrolmentStep>& steps,
                         MustStart must_start, const StepsOutput& out) {
  const auto now = TRY(outcome_of(inputs, inputs.variables));
  const auto outcomes = TRY(play(inputs, steps, must_start));
  const auto next = next_values(inputs, outcomes);
  const auto baseline_key = TRY(inputs.keys.load("baseline"));
  auto all = nlohmann::json::array();
  TRY(write_new_folder(out.folder, [&](const std::string& work) -> Result<void> {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      TRY(write_step(steps[i], outcomes[i], work + "/" + folder_of(i, steps[i]), baseline_key));
      all.push_back(step_json(steps[i], outcomes[i], i == 0 ? now : outcomes[i - 1], inputs));
    }
    for (const auto& [name, content] : out.more) TRY(write_file(work + "/" + name, content));
    return write_file(
        work + "/plan.json",
        as_bytes(nlohmann::json{{"plan", out.title}, {"steps", all}, {"next_pcr7", next}}.dump(2) + "\n"));
  }));
  for (std::size_t i = 0; i < steps.size(); ++i)
    TRY(tell_step(i, steps[i], outcomes[i], i == 0 ? now : outcomes[i - 1], out.folder));
  if (any_closes(now, outcomes) && next.empty())
    say("with the --platform of machines that have one PCR 7, the plan tells how volumes stay open");
  if (any_closes(now, outcomes) && !next.empty()) {
    say("volumes of key = \"tpm\" stay open all the way on nodes that boot, before the first step, a release with");
    say("  [boot]");
    say(fmt::format("  next_pcr7 = [\"{}\"]", fmt::join(next, "\", \"")));
  }
  if (inputs.platform)
    say("each step's platform.json is for machines that have taken it; QEMU's OVMF changes PCR 0 with its variables, "
        "too: "
        "learn that one anew");
  say(fmt::format("{}: {} in {}", out.title, steps.size() == 1 ? "1 step" : fmt::format("{} steps", steps.size()),
                  out.folder));
  return {};
}

}  // namespace ingot::cli
