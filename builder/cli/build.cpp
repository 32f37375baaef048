#include "ingot/builder/build.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/builder/boot_chain.hpp"
#include "ingot/builder/profile.hpp"
#include "ingot_agent_unit.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {

struct BuildArguments {
  std::string profile;
  std::string agent;
  builder::BuildOptions options;
  bool plan = false;
  bool json = false;
};

void print_plan(const std::vector<builder::PlanStep>& steps, bool as_json) {
  auto document = nlohmann::json::array();
  std::string text;
  for (const auto& step : steps) {
    auto inputs = nlohmann::json::array();
    text += fmt::format("{:<12} -> {}\n", step.name, step.output);
    for (const auto& [name, value] : step.inputs) {
      inputs.push_back({{"name", name}, {"value", value}});
      text += fmt::format("    {:<18} {}\n", name, value);
    }
    document.push_back({{"step", step.name}, {"inputs", inputs}, {"output", step.output}});
  }
  print(as_json ? document.dump(2) + "\n" : text);
}

Result<int> run_build(BuildArguments& arguments) {
  const auto profile = TRY(builder::load_profile(arguments.profile));
  auto& options = arguments.options;
  if (arguments.plan) {
    print_plan(builder::plan(profile, options), arguments.json);
    return exit_ok;
  }
  if (options.keys.empty())
    return fail(ErrorCode::usage, "--keys is missing", "make keys with `ingot keys init DIR` and give that folder");
  if (options.out.empty()) return fail(ErrorCode::usage, "--out is missing", "name the folder for the finished image");
  if (arguments.agent.empty()) arguments.agent = program_folder() + "/ingot-agent";
  options.agent.binary = TRY_IN("the agent that goes into the image", file_source(arguments.agent));
  options.agent.unit = agent_unit;
  TerminalProgress progress;
  const auto summary = TRY(builder::build(profile, options, progress));
  progress.finish();
  const auto& baseline = summary.baseline;
  if (!options.request.empty()) {
    say(fmt::format("request: {} version {} in {}, id {}", baseline.profile, baseline.version, options.request,
                    summary.request_id));
    say("next, where the keys are: ingot sign answer REQUEST --id ID --keys KEYS --out ANSWER");
    if (arguments.json) print(nlohmann::json{{"request", options.request}, {"id", summary.request_id}}.dump(2) + "\n");
    return exit_ok;
  }
  say(fmt::format("cast: {} version {} in {}, root hash {}", baseline.profile, baseline.version, summary.out,
                  baseline.root_hash));
  if (arguments.json)
    print(nlohmann::json{{"profile", baseline.profile},
                         {"version", baseline.version},
                         {"out", summary.out},
                         {"root_hash", baseline.root_hash},
                         {"uki_sha256", baseline.uki_sha256}}
              .dump(2) +
          "\n");
  return exit_ok;
}

}  // namespace

void add_build(CLI::App& app, Action& action) {
  auto* build = app.add_subcommand("build", "Cast a profile: signed UKI, disk image, baseline, SBOM");
  build->footer(
      "Example: ingot build profiles/inference.toml --keys keys --out out/inference\n"
      "The first build writes a lock file beside the profile; later builds obey it.\n"
      "Keys on another machine: --sign-later REQUEST, then `ingot sign answer`, then --finish ANSWER.");
  auto arguments = std::make_shared<BuildArguments>();
  auto& options = arguments->options;
  options.cache = default_cache();
  options.vars_template = "/usr/share/OVMF/OVMF_VARS_4M.fd";
  options.vendor_vars = builder::default_vendor_vars;
  build->add_option("PROFILE", arguments->profile, "Profile (TOML)")->required();
  build->add_option("--keys", options.keys, "Folder made by `ingot keys init`");
  add_pin_options(*build);
  build->add_option("--out", options.out, "Output folder; appears whole, replaces an earlier build");
  build->add_option("--cache", options.cache, "Packages, trees and finished steps")->capture_default_str();
  build->add_option("--mirror", options.mirror,
                    "Package mirror (URL); default: the profile's, else what apt here uses");
  build->add_option("--lock", options.lock, "Lock file; default: beside the profile");
  build->add_flag("--update-lock", options.update_lock, "Resolve packages anew and rewrite the lock");
  build->add_flag("--offline", options.offline, "Use the cache alone");
  build->add_option("--vars-template", options.vars_template, "Empty variable store of the firmware")
      ->capture_default_str();
  build
      ->add_option("--vendor-vars", options.vendor_vars,
                   "Variable store whose db has the certificate that shim is signed under, for boot.chain \"shim\"")
      ->capture_default_str();
  build->add_option("--agent", arguments->agent, "ingot-agent for the image; default: the one beside ingot");
  build->add_flag("--compress", options.compress, "Write disk.raw.zst as well");
  auto* later = build->add_option("--sign-later", options.request,
                                  "File for a signing request: --keys has no private keys, nothing else is made");
  build->add_option("--finish", options.answer, "Answer of `ingot sign answer` to that request")->excludes(later);
  build->add_flag("--plan", arguments->plan, "Print the steps and their inputs, run nothing");
  build->add_flag("--json", arguments->json, "Result as JSON on standard output");
  build->callback([=, &action] { action = [arguments] { return run_build(*arguments); }; });
}

}  // namespace ingot::cli
