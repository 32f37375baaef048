#include <fmt/format.h>

#include "ingot/check/boot.hpp"
#include "ingot/check/grammar.hpp"

namespace ingot::check {

std::string render_findings_page() {
  std::string out =
      "# What a verdict can find\n\n"
      "Written by `ingot findings` from the tables in the code; the texts in the first column are stable.\n\n"
      "## Kinds of findings\n\n| kind | meaning |\n|---|---|\n";
  for (const auto kind : finding_kinds()) out += fmt::format("| `{}` | {} |\n", to_text(kind), meaning(kind));
  out += "\nEach finding has a remedy: ";
  const Remedy remedies[] = {Remedy::redeploy, Remedy::re_enrol, Remedy::update_platform, Remedy::investigate};
  for (const auto remedy : remedies)
    out += fmt::format("{}`{}`", remedy == Remedy::redeploy ? "" : ", ", to_text(remedy));
  out +=
      ".\n\n## Log problems\n\nDetails of `log-problem`: rules of TCG PC Client Platform Firmware Profile 1.06 that a "
      "log "
      "can break.\n\n| problem | meaning |\n|---|---|\n";
  for (const auto kind : log_problem_kinds()) out += fmt::format("| `{}` | {} |\n", to_text(kind), meaning(kind));
  out +=
      "\n## Firmware habits\n\nDepartures of real firmware that are notes instead of findings, each shown by a log of "
      "another project.\n\n| habit | what it does | seen in |\n|---|---|---|\n";
  for (const auto& quirk : firmware_quirks())
    out += fmt::format("| `{}` | {} | `{}` |\n", quirk.name, quirk.what, quirk.vector);
  return out;
}

}  // namespace ingot::check
