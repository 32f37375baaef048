#include "cli.hpp"

namespace ingot::cli {

void add_sign(CLI::App& app, Action& action) {
  auto* sign = app.add_subcommand("sign", "Sign one thing");
  sign->require_subcommand(1);
  add_sign_variables(*sign, action);
  add_sign_update(*sign, action);
}

}  // namespace ingot::cli
