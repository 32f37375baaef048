#include <fmt/format.h>

#include <csignal>

#include "cli.hpp"
#include "key_options.hpp"

namespace {

constexpr const char* exit_text =
    "Exit status: 0 done or matches, 1 findings, 2 malformed input, 3 usage or I/O.\n"
    "Human text goes to standard error; --json puts one JSON document on standard output.";

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
  cli::add_keys(app, action);
  cli::add_sign(app, action);
  cli::add_build(app, action);
  cli::add_compare(app, action);
  cli::add_predict(app, action);
  cli::add_platform(app, action);
  cli::add_log(app, action);
  cli::add_enroll(app, action);
  cli::add_seal(app, action);
  cli::add_recover(app, action);
  cli::add_verify(app, action);
  cli::add_release(app, action);
  cli::add_export(app, action);
  cli::add_findings(app, action);
  cli::add_settings(app, action);
  cli::add_rig(app, action);
  cli::add_segment(app, action);
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
