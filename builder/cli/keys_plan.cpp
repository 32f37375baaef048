// Keys that take the place of others: the next key folder, and the way of the machines from one to the other.
#include <fmt/format.h>

#include <memory>

#include "cli.hpp"
#include "ingot/signer/lifecycle.hpp"
#include "key_options.hpp"
#include "lifecycle.hpp"

namespace ingot::cli {
namespace {

Result<signer::RotatedKey> which_key(const std::string& name) {
  const auto key = signer::parse_rotated_key(name);
  if (!key)
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no key that is rotated by plan", name),
                "give db, KEK, PK or pcr");
  return *key;
}

struct NextArguments {
  std::string which, keys, out;
  signer::BroughtKey brought;
};

Result<int> run_next(const NextArguments& arguments) {
  const auto which = TRY(which_key(arguments.which));
  const auto keys = TRY(signer::open_keys(arguments.keys));
  const auto next = TRY(signer::next_keys(keys, which, arguments.brought, arguments.out));
  say(fmt::format("keys: {} with another {}; build releases with it, then `ingot keys plan rotate {}`", next.path,
                  arguments.which, arguments.which));
  return exit_ok;
}

struct RotateArguments : LifecycleArguments {
  std::string which, next;
};

/// That a release is there which needs nothing of the old key is seen when the steps are played.
Result<void> check_releases(signer::RotatedKey which, const RotateArguments& arguments) {
  if (which != signer::RotatedKey::db || !arguments.releases.empty()) return {};
  return fail(ErrorCode::usage, "a new db needs a release that it lets start, and none is given",
              fmt::format("build one with --keys {}, and give its output folder as --release", arguments.next));
}

Result<int> run_rotate(const RotateArguments& arguments) {
  const auto which = TRY(which_key(arguments.which));
  TRY(check_releases(which, arguments));
  const auto inputs = TRY(read_lifecycle_inputs(arguments));
  const auto next = TRY(signer::open_keys(arguments.next));
  const auto steps = TRY(signer::plan_rotation(which, inputs.keys, next, inputs.variables, inputs.time));
  TRY(write_steps(inputs, steps, MustStart::one, {"rotate " + arguments.which, arguments.out}));
  if (which == signer::RotatedKey::pcr)
    say("volumes belong to the PCR policy key that they were made under: releases of the new one open no old volume. "
        "Have recovery keys at hand, or let nodes make their volumes anew. Old releases open no new volume: nothing is "
        "to be revoked.");
  return exit_ok;
}

}  // namespace

void add_keys_next(CLI::App& keys, Action& action) {
  auto* command = keys.add_subcommand("next", "Copy a key folder with one key replaced");
  command->footer(
      "Example: ingot keys next db --keys keys --out keys-2\n"
      "         ingot keys next db --keys keys --out keys-2 --key 'pkcs11:token=site;object=db2' --certificate "
      "db2.crt\n"
      "The old folder stays as it is. signatures.log is not copied: the new folder begins its own.");
  auto arguments = std::make_shared<NextArguments>();
  command->add_option("KEY", arguments->which, "db, KEK, PK or pcr")->required();
  command->add_option("--keys", arguments->keys, "Key folder")->required();
  command->add_option("--out", arguments->out, "The next one, which must not exist")->required();
  auto* key = command->add_option("--key", arguments->brought.reference, "Take this key instead of making one");
  command->add_option("--certificate", arguments->brought.certificate_path, "Its certificate, PEM")->needs(key);
  add_pin_options(*command);
  command->callback([=, &action] { action = [arguments] { return run_next(*arguments); }; });
}

void add_keys_plan(CLI::App& keys, Action& action) {
  auto* plan = keys.add_subcommand("plan", "What machines have to do, step by step");
  plan->require_subcommand(1);
  auto* command = plan->add_subcommand("rotate", "From one db, KEK, PK or PCR policy key to the next");
  command->footer(
      "Example: ingot keys next db --keys keys --out keys-2\n"
      "         ingot build profiles/inference.toml --keys keys-2 --out out/new\n"
      "         ingot keys plan rotate db --keys keys --next keys-2 --vars out/old/VARS.fd --platform platform.json "
      "\\\n"
      "             --release out/old --release out/new --time \"2026-12-01 00:00:00\" --out plan\n"
      "Each step has signed updates for firmware, and the platform and baselines to verify against afterwards. A plan\n"
      "with a step after which none of the releases starts is refused. Plan again from any step: what is done is left "
      "out.");
  auto arguments = std::make_shared<RotateArguments>();
  command->add_option("KEY", arguments->which, "db, KEK, PK or pcr")->required();
  command->add_option("--next", arguments->next, "Key folder with the new key (`ingot keys next`)")->required();
  command->add_option("--release", arguments->releases, "Output folder of a release, old or new; may repeat");
  add_lifecycle_options(*command, *arguments);
  command->callback([=, &action] { action = [arguments] { return run_rotate(*arguments); }; });
}

}  // namespace ingot::cli
