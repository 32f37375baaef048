#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <string_view>

#include "cli.hpp"
#include "key_options.hpp"

namespace {

constexpr const char* exit_text =
    "Exit status: 0 done or matches, 1 findings, 2 malformed input, 3 usage or I/O.\n"
    "Human text goes to standard error; --json puts one JSON document on standard output.";

struct Command {
  std::string_view name;
  void (*add)(CLI::App&, ingot::cli::Action&);
};
constexpr Command commands[] = {{"keys", ingot::cli::add_keys},         {"sign", ingot::cli::add_sign},
                                {"build", ingot::cli::add_build},       {"compare", ingot::cli::add_compare},
                                {"predict", ingot::cli::add_predict},   {"platform", ingot::cli::add_platform},
                                {"log", ingot::cli::add_log},           {"enroll", ingot::cli::add_enroll},
                                {"seal", ingot::cli::add_seal},         {"recover", ingot::cli::add_recover},
                                {"verify", ingot::cli::add_verify},     {"release", ingot::cli::add_release},
                                {"export", ingot::cli::add_export},     {"findings", ingot::cli::add_findings},
                                {"settings", ingot::cli::add_settings}, {"rig", ingot::cli::add_rig},
                                {"segment", ingot::cli::add_segment}};

/// The command that `first` names, or all. Options and texts of the others would take longer than a signature does.
void add_commands(CLI::App& app, ingot::cli::Action& action, std::string_view first) {
  const auto* named =
      std::find_if(std::begin(commands), std::end(commands), [&](const auto& one) { return one.name == first; });
  if (named != std::end(commands)) return named->add(app, action);
  for (const auto& one : commands) one.add(app, action);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ingot;
  // A reader that goes away is an error of write(), not a reason to die with half a file.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app{"Ingot casts golden images for immutable nodes, and proves that a booted node is what was cast.",
               "ingot"};
  app.set_version_flag("--version", INGOT_VERSION);
  app.require_subcommand(1);
  app.footer(exit_text);
  cli::Action action;
  add_commands(app, action, argc > 1 ? argv[1] : "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    (void)app.exit(error);
    return exit_status(ErrorCode::usage);
  }
  signer::set_pin_sources(cli::pin_sources());
  auto done = action();
  if (done) return *done;
  cli::say(fmt::format("ingot: {}", describe(done.error())));
  return exit_status(done.error().code);
}
