#include "ingot/measure/predict.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/builder/build.hpp"
#include "ingot/check/boot.hpp"
#include "ingot/check/image.hpp"
#include "ingot/measure/uki.hpp"
#include "render.hpp"

namespace ingot::cli {
namespace {

struct PredictArguments {
  std::string path;
  std::string platform;
  std::string key;
  std::string vars;
  std::string phases = "enter-initrd:leave-initrd:sysinit:ready";
  bool json = false;
};

std::vector<std::string> split_phases(std::string_view path) {
  std::vector<std::string> phases;
  while (!path.empty()) {
    const auto end = path.find(':');
    phases.emplace_back(path.substr(0, end));
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  }
  return phases;
}

nlohmann::json events_json(const std::vector<ExpectedEvent>& events) {
  auto out = nlohmann::json::array();
  for (const auto& event : events) out.push_back(to_json(event));
  return out;
}

Result<int> predict_uki(const PredictArguments& arguments) {
  const auto uki = TRY(file_source(arguments.path));
  const auto events = TRY_IN(arguments.path, measure::uki_events(*uki, split_phases(arguments.phases)));
  constexpr PcrIndex whole[] = {4, 9, 11, 12, 13, 14};
  const auto pcrs = measure::replay_expected(events, whole);
  if (arguments.json)
    print(nlohmann::json{{"events", events_json(events)}, {"pcrs", to_json(pcrs)}}.dump(2) + "\n");
  else
    print(render_events(events, pcrs));
  return exit_ok;
}

/// Of the variable store given; nothing without one.
Result<StartKeys> find_keys(const std::string& vars_path) {
  if (vars_path.empty()) return StartKeys{};
  auto keys = TRY(load_start_keys(vars_path));
  if (!keys.db.empty()) return keys;
  return fail(ErrorCode::malformed, fmt::format("{} has no db variable", vars_path),
              "give a variable store with Secure Boot keys");
}

Result<int> predict_image(PredictArguments& arguments) {
  namespace fs = std::filesystem;
  std::error_code ec;
  std::string disk_path = arguments.path;
  if (fs::is_directory(disk_path, ec)) {
    if (arguments.vars.empty()) arguments.vars = disk_path + "/" + builder::output::vars;
    disk_path += std::string("/") + builder::output::disk;
  }
  const auto image = TRY_IN(disk_path, check::open_image(TRY(file_source(disk_path))));
  const auto keys = TRY(find_keys(arguments.vars));
  auto baseline = TRY_IN(disk_path, measure::predict_image({image.disk.get(),
                                                            image.uki.get(),
                                                            keys.db,
                                                            split_phases(arguments.phases),
                                                            {},
                                                            image.first(keys.mok_list)}));
  std::vector<ExpectedEvent> events;
  if (!arguments.platform.empty()) {
    const auto key = TRY(baseline_key(arguments.key, arguments.platform));
    events = TRY(load_platform(arguments.platform, key)).events;
  }
  events.insert(events.end(), baseline.events.begin(), baseline.events.end());
  auto pcrs = measure::replay_expected(events, image_pcrs);
  // Without a platform PCR 7 starts in the middle: its value would look right and be wrong.
  if (arguments.platform.empty())
    for (auto& [alg, bank] : pcrs) bank.erase(7);
  auto phases = nlohmann::json::array();
  for (const auto& phase : baseline.phases) {
    auto values = nlohmann::json::object();
    for (const auto& [alg, value] : phase.value) values[to_text(alg)] = to_hex(value);
    phases.push_back({{"phase", phase.phase_path}, {"pcr11", values}});
  }
  if (arguments.json)
    print(nlohmann::json{
              {"events", events_json(events)}, {"pcrs", to_json(pcrs)}, {"phases", phases}, {"stub", baseline.stub}}
              .dump(2) +
          "\n");
  else
    print(render_events(events, pcrs));
  return exit_ok;
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* predict = app.add_subcommand("predict", "PCR values and events that finished bytes will cause");
  predict->require_subcommand(1);
  auto arguments = std::make_shared<PredictArguments>();
  auto* uki = predict->add_subcommand("uki", "What booting one UKI measures: PCR 4, 9, 11-14");
  uki->footer("Example: ingot predict uki out/inference/uki.efi --json");
  uki->add_option("FILE", arguments->path, "UKI")->required();
  auto* image = predict->add_subcommand(
      "image", "What booting a disk image measures: PCR 4, 5, 7, 9, 11-14, and the platform's with --platform");
  image->footer("Example: ingot predict image out/inference --platform platform.json --key keys/baseline.pub");
  image->add_option("IMAGE", arguments->path, "Output folder or disk.raw")->required();
  image->add_option("--platform", arguments->platform, "Signed platform: adds PCR 0-3, 6 and 7");
  image->add_option("--key", arguments->key, "Public key that the platform is signed with");
  image->add_option("--vars", arguments->vars, "Variable store whose db lets the UKI start; default: the folder's");
  for (auto* sub : {uki, image}) {
    sub->add_option("--phases", arguments->phases, "Boot phases in order")->capture_default_str();
    sub->add_flag("--json", arguments->json, "JSON on standard output");
  }
  uki->callback([=, &action] { action = [arguments] { return predict_uki(*arguments); }; });
  image->callback([=, &action] { action = [arguments] { return predict_image(*arguments); }; });
}

}  // namespace ingot::cli
