#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/codec/exports.hpp"
#include "ingot/measure/predict.hpp"

namespace ingot::cli {
namespace {

struct ExportArguments {
  std::string format;
  std::string baseline;
  std::string platform;
  std::string manifest;
  std::string vars;
  std::string key;
  std::string out;
};

Result<void> write_pcrlock(const std::string& folder, const Baseline& baseline, const Platform* platform) {
  if (folder.empty())
    return fail(ErrorCode::usage, "pcrlock components are several files", "give --out FOLDER, as /etc/pcrlock.d");
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", folder), ec.value()));
  for (const auto& [name, text] : codec::export_pcrlock(baseline, platform))
    TRY(write_file(folder + "/" + name, as_bytes(text)));
  return {};
}

/// The variables, once they are those that machines of this class measure into PCR 7.
Result<std::vector<codec::Variable>> load_measured_variables(const std::string& path, const Platform& platform) {
  auto variables = TRY(codec::decode_variable_store(TRY(read_file(path, codec::variable_store_size_cap_bytes))));
  for (const auto& wanted : TRY(measure::secure_boot_events(variables)))
    if (!check::expects(platform, wanted.pcr, wanted.digests))
      return fail(ErrorCode::usage, fmt::format("its {} is not what the platform's machines measure", wanted.cause),
                  "give the variable store that the platform was learned with");
  return variables;
}

Result<int> run_export(const ExportArguments& arguments) {
  const auto key = TRY(baseline_key(arguments.key, arguments.baseline));
  const auto baseline = TRY(load_baseline(arguments.baseline, key));
  std::optional<Platform> signed_platform;
  if (!arguments.platform.empty()) signed_platform = TRY(load_platform(arguments.platform, key));
  const Platform* platform = signed_platform ? &*signed_platform : nullptr;
  if (arguments.format == "pcrlock") {
    TRY(write_pcrlock(arguments.out, baseline, platform));
  } else if (arguments.format == "keylime-runtime") {
    if (arguments.manifest.empty())
      return fail(ErrorCode::usage, "a runtime policy is made from the image's files", "give --manifest manifest.json");
    TRY(deliver(arguments.out, codec::export_keylime_runtime_policy(TRY(load_manifest(arguments.manifest, baseline)))));
  } else if (arguments.format == "keylime-tpm") {
    TRY(deliver(arguments.out, codec::export_keylime_tpm_policy(baseline, platform)));
  } else if (arguments.format == "keylime-measured-boot") {
    if (platform == nullptr || arguments.vars.empty())
      return fail(ErrorCode::usage, "a measured-boot reference state is about firmware and Secure Boot keys, too",
                  "give --platform platform.json and --vars VARS.fd");
    const auto variables = TRY_IN(arguments.vars, load_measured_variables(arguments.vars, *platform));
    TRY(deliver(arguments.out, TRY(codec::export_keylime_measured_boot(baseline, *platform, variables))));
  } else if (arguments.format == "corim") {
    TRY(deliver(arguments.out, as_text(codec::export_corim(baseline, platform))));
  } else {
    TRY(deliver(arguments.out, codec::export_cel_json(baseline, platform)));
  }
  return exit_ok;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("export", "Golden values in the forms that other verifiers read");
  command->footer(
      "pcrlock          components for systemd-pcrlock, a folder\n"
      "keylime-runtime  Keylime's runtime policy: the image's files, for IMA\n"
      "keylime-tpm      Keylime's tpm_policy: PCR values\n"
      "keylime-measured-boot  Keylime's mb_refstate: firmware, Secure Boot keys, UKI\n"
      "corim            CoRIM (CBOR): reference values for each PCR\n"
      "cel-json         the expected events as a canonical event log\n"
      "Example: ingot export pcrlock --baseline out/inference/baseline.json --platform platform.json --out pcrlock.d");
  auto arguments = std::make_shared<ExportArguments>();
  command->add_option("FORMAT", arguments->format, "One of the forms below")
      ->required()
      ->check(
          CLI::IsMember({"pcrlock", "keylime-runtime", "keylime-tpm", "keylime-measured-boot", "corim", "cel-json"}));
  command->add_option("--baseline", arguments->baseline, "Signed baseline")->required();
  command->add_option("--platform", arguments->platform, "Signed platform of the machine class");
  command->add_option("--manifest", arguments->manifest, "manifest.json of the same build, for keylime-runtime");
  command->add_option("--vars", arguments->vars, "VARS.fd of the same build, for keylime-measured-boot");
  command->add_option("--key", arguments->key, "Public key that baselines and platforms are signed with");
  command->add_option("--out", arguments->out, "File or folder to write; default: standard output");
  command->callback([=, &action] { action = [arguments] { return run_export(*arguments); }; });
}

}  // namespace ingot::cli
