#include "cli.hpp"

namespace ingot::cli {

void add_sign(CLI::App& app, Action& action) {
  auto* sign = app.add_subcommand("sign", "Sign what boots, and look at signatures");
  sign->require_subcommand(1);
  add_sign_pe(*sign, action);
  add_sign_list(*sign, action);
}

}  // namespace ingot::cli
