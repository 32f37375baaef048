#include "ingot/builder/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/builder/profile.hpp"

namespace ingot::cli {
namespace {

struct SettingsArguments {
  std::string profile;
  bool json = false;
  bool markdown = false;
};

/// One line of the table: what this profile makes of a row.
struct Line {
  const builder::SettingRow* row = nullptr;
  std::string value;
  std::string relaxed;  ///< why it departs from the table
};

/// A row that the profile drops, or that is for the other variant, has no line.
std::vector<Line> lines_of(const Hardening& hardening) {
  std::vector<Line> lines;
  for (const auto& row : builder::setting_rows()) {
    const auto chosen = builder::chosen_settings(hardening, row.area);
    const auto same = std::find_if(chosen.begin(), chosen.end(), [&](const Setting& setting) {
      return setting.name == row.name && (setting.value == row.value || !setting.relaxed.empty()) &&
             setting.source == row.source;
    });
    if (same != chosen.end()) lines.push_back({&row, same->value, same->relaxed});
  }
  return lines;
}

std::string as_json(const std::vector<Line>& lines) {
  auto document = nlohmann::json::array();
  for (const auto& line : lines)
    document.push_back({{"name", builder::row_name(*line.row)},
                        {"value", line.value},
                        {"file", line.row->file},
                        {"source", line.row->source},
                        {"judge", line.row->judge},
                        {"cost", line.row->cost},
                        {"relaxed", line.relaxed}});
  return document.dump(2) + "\n";
}

std::string as_markdown(const std::vector<Line>& lines) {
  std::string text = "| setting | value | file | source | judge | cost |\n|---|---|---|---|---|---|\n";
  for (const auto& line : lines) {
    auto value = line.value;
    std::replace(value.begin(), value.end(), '|', ' ');
    text += fmt::format("| `{}` | `{}` | {} | {} | {} | {} |\n", builder::row_name(*line.row), value, line.row->file,
                        line.row->source, line.row->judge,
                        line.relaxed.empty() ? std::string(line.row->cost) : "relaxed: " + line.relaxed);
  }
  return text;
}

std::string as_text(const std::vector<Line>& lines) {
  std::string text;
  for (const auto& line : lines) {
    text += fmt::format("{} = {}\n    source: {}\n", builder::row_name(*line.row), line.value, line.row->source);
    if (!line.row->judge.empty()) text += fmt::format("    judge:  {}\n", line.row->judge);
    if (!line.row->cost.empty()) text += fmt::format("    cost:   {}\n", line.row->cost);
    if (!line.relaxed.empty()) text += fmt::format("    relaxed: {} (table: {})\n", line.relaxed, line.row->value);
  }
  return text;
}

Result<int> run_settings(const SettingsArguments& arguments) {
  const auto profile = TRY(builder::load_profile(arguments.profile));
  const auto lines = lines_of(profile.hardening);
  print(arguments.json ? as_json(lines) : arguments.markdown ? as_markdown(lines) : as_text(lines));
  return exit_ok;
}

}  // namespace

void add_settings(CLI::App& app, Action& action) {
  auto* settings = app.add_subcommand("settings", "The table of settings that a profile delivers");
  settings->footer(
      "Each row: value, who asks for it, which judge sees it, what it costs. Example: ingot settings "
      "profiles/inference.toml --markdown");
  auto arguments = std::make_shared<SettingsArguments>();
  settings->add_option("PROFILE", arguments->profile, "Profile (TOML)")->required();
  auto* json = settings->add_flag("--json", arguments->json, "As JSON on standard output");
  settings->add_flag("--markdown", arguments->markdown, "As a table for documents")->excludes(json);
  settings->callback([=, &action] { action = [arguments] { return run_settings(*arguments); }; });
}

}  // namespace ingot::cli
