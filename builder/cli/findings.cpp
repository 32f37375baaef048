#include <fmt/format.h>

#include "cli.hpp"
#include "ingot/check/boot.hpp"

namespace ingot::cli {

void add_findings(CLI::App& app, Action& action) {
  auto* findings =
      app.add_subcommand("findings", "All kinds of findings, log problems and firmware habits, in Markdown");
  findings->callback([&action] {
    action = []() -> Result<int> {
      print(check::render_findings_page());
      return exit_ok;
    };
  });
}

}  // namespace ingot::cli
