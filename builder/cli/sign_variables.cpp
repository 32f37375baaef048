#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "ingot/base/output.hpp"
#include "ingot/signer/sign.hpp"
#include "ingot/signer/variables.hpp"
#include "key_options.hpp"
#include "new_folder.hpp"
#include "signing_time.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

struct VariablesArguments {
  std::string keys;
  std::string out;
  std::string name = "auto";
  std::string time;
};

Result<int> run(const VariablesArguments& arguments) {
  if (arguments.name.empty() || arguments.name.find('/') != std::string::npos || arguments.name.front() == '.')
    return fail(ErrorCode::usage, fmt::format("--name \"{}\" is no name of a folder", arguments.name));
  const auto keys = TRY(signer::open_keys(arguments.keys));
  const auto given = TRY(signing_time(arguments.time));
  const auto time = given ? *given : TRY(signer::secure_boot_keys(keys)).time;
  const auto updates = TRY(signer::enrolment_updates(keys, time));
  for (const auto& [update, auth] : updates) {
    auto lines = TRY(signer::describe_update(update));
    lines.front() += fmt::format(", signed by {}", update.variable->signed_by);
    for (const auto& line : lines) say(line);
  }
  const fs::path folder = fs::path(arguments.out) / "loader" / "keys" / arguments.name;
  TRY(write_new_folder(folder, [&](const std::string& work) -> Result<void> {
    for (const auto& [update, auth] : updates) {
      const auto stem = fmt::format("{}/{}", work, update.variable->name);
      TRY(write_file(stem + ".auth", auth));
      TRY(write_file(stem + ".esl", update.content));
    }
    return {};
  }));
  say(
      fmt::format("enrolment: {}; copy loader/ onto the ESP for systemd-boot, or give that folder to `ingot-agent "
                  "secureboot enroll`",
                  folder.string()));
  return exit_ok;
}

}  // namespace

void add_sign_variables(CLI::App& sign, Action& action) {
  auto* command =
      sign.add_subcommand("variables", "Updates that enrol a key folder's PK, KEK, db and dbx on a machine");
  command->footer(
      "Example: ingot sign variables --keys keys --out enrol\n"
      "Makes loader/keys/NAME/{PK,KEK,db,dbx}.auth, from which systemd-boot enrols a machine in setup mode\n"
      "(loader.conf: secure-boot-enroll force; releases before 257 leave dbx out), and the same as .esl.\n"
      "A machine so enrolled measures what a build's VARS.fd makes it measure, dbx included.");
  auto arguments = std::make_shared<VariablesArguments>();
  command->add_option("--keys", arguments->keys, "Key folder with PK and KEK")->required();
  command->add_option("--out", arguments->out, "Folder to make loader/ in")->required();
  command->add_option("--name", arguments->name, "Name of the set of keys; systemd-boot enrols \"auto\" unasked")
      ->capture_default_str();
  command->add_option("--time", arguments->time,
                      "Time of the updates, UTC: \"YYYY-MM-DD HH:MM:SS\"; default: SOURCE_DATE_EPOCH, else that of "
                      "every VARS.fd");
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace ingot::cli
