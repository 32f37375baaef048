#include "cli.hpp"

namespace ingot::cli {

void add_sign(CLI::App& app, Action& action) {
  auto* sign = app.add_subcommand("sign", "Sign what a node boots and loads, and look at signatures");
  sign->require_subcommand(1);
  add_sign_pe(*sign, action);
  add_sign_list(*sign, action);
  add_sign_module(*sign, action);
  add_sign_variables(*sign, action);
  add_sign_update(*sign, action);
  add_sign_answer(*sign, action);
  add_sign_log(*sign, action);
}

}  // namespace ingot::cli
