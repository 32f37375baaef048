#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli.hpp"
#include "ingot/builder/release.hpp"

namespace ingot::cli {
namespace {

struct CompareArguments {
  std::string left;
  std::string right;
  bool json = false;
};

Result<int> run_compare(const CompareArguments& arguments) {
  const auto differences = TRY(builder::compare_builds(arguments.left, arguments.right));
  if (arguments.json) {
    auto list = nlohmann::json::array();
    for (const auto& one : differences)
      list.push_back({{"structure", one.structure}, {"left", one.left}, {"right", one.right}});
    print(nlohmann::json{{"identical", differences.empty()}, {"differences", list}}.dump(
              2, ' ', false, nlohmann::json::error_handler_t::replace) +
          "\n");
  } else {
    print(differences.empty()
              ? "identical to the byte\n"
              : fmt::format("{} files differ; the first is nearest to the cause:\n", differences.size()));
    for (const auto& one : differences)
      print(fmt::format("- {}\n    {}  {}\n    {}  {}\n", one.structure, "left ", one.left, "right", one.right));
  }
  return differences.empty() ? exit_ok : exit_findings;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto* compare = app.add_subcommand("compare", "Name the first structure in which two builds differ");
  compare->footer("Example: ingot compare out/monday out/tuesday");
  auto arguments = std::make_shared<CompareArguments>();
  compare->add_option("LEFT", arguments->left, "Output folder of a build")->required();
  compare->add_option("RIGHT", arguments->right, "Output folder of another")->required();
  compare->add_flag("--json", arguments->json, "JSON on standard output");
  compare->callback([=, &action] { action = [arguments] { return run_compare(*arguments); }; });
}

}  // namespace ingot::cli
