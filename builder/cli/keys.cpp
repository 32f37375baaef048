#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "ingot/signer/key.hpp"

namespace ingot::cli {

void add_keys(CLI::App& app, Action& action) {
  auto* keys = app.add_subcommand("keys", "Key hierarchy for tests and small sites");
  keys->require_subcommand(1);
  auto* init = keys->add_subcommand("init", "Make PK, KEK, db, PCR-policy and baseline keys in a new folder");
  init->footer(
      "Example: ingot keys init keys\nPrivate keys are readable by their owner alone (0600); the folder is 0700.");
  auto folder = std::make_shared<std::string>();
  init->add_option("DIR", *folder, "Folder to make the keys in")->required();
  init->callback([=, &action] {
    action = [folder]() -> Result<int> {
      const auto made = TRY(signer::init_keys(*folder));
      say(fmt::format("keys: PK, KEK, db, pcr and baseline in {}; keep it out of output folders and backups of images",
                      made.path));
      return exit_ok;
    };
  });
}

}  // namespace ingot::cli
