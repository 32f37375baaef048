#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli.hpp"
#include "documents.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "key_options.hpp"

namespace ingot::cli {
namespace {
namespace fs = std::filesystem;

struct ReleaseArguments {
  std::string baseline;
  std::string store;
  std::string key;
  std::string keys;
  std::string profile;
  std::uint64_t version = 0;
  std::string why;
};

Result<int> run_add(const ReleaseArguments& arguments) {
  const auto key = TRY(baseline_key(arguments.key, arguments.baseline));
  const auto baseline = TRY(load_baseline(arguments.baseline, key));
  std::error_code ec;
  fs::create_directories(arguments.store, ec);
  if (ec) return fail(io_error(fmt::format("creating {}", arguments.store), ec.value()));
  for (const auto& known : TRY(load_releases(arguments.store, key)).baselines) {
    if (known == baseline) continue;
    if (known.profile == baseline.profile && known.version >= baseline.version)
      return fail(ErrorCode::usage,
                  fmt::format("{} version {} is in the store already, and version {} is not newer", known.profile,
                              known.version, baseline.version),
                  "raise `version` in the profile and build again: a version names one release for ever");
  }
  const auto path = fmt::format("{}/{}-{}.json", arguments.store, baseline.profile, baseline.version);
  TRY(write_file(path, TRY(read_file(arguments.baseline, 64u << 20))));
  say(fmt::format("added: {} version {} as {}", baseline.profile, baseline.version, path));
  return exit_ok;
}

Result<int> run_revoke(const ReleaseArguments& arguments) {
  const auto key = TRY(baseline_key(arguments.keys + "/baseline.pub", {}));
  auto releases = TRY(load_releases(arguments.store, key));
  const auto& known = releases.baselines;
  const auto found = std::find_if(known.begin(), known.end(), [&](const Baseline& one) {
    return one.profile == arguments.profile && one.version == arguments.version;
  });
  if (found == known.end())
    return fail(ErrorCode::missing,
                fmt::format("{} has no {} version {}", arguments.store, arguments.profile, arguments.version),
                "see `ingot release list`");
  if (find_revocation(releases.revoked, arguments.profile, arguments.version) == nullptr)
    releases.revoked.push_back({arguments.profile, arguments.version, arguments.why});
  TRY(save_revocations(releases.revoked, arguments.keys, arguments.store + revoked_file));
  say(fmt::format("revoked: {} version {}", arguments.profile, arguments.version));
  return exit_ok;
}

Result<int> run_list(const ReleaseArguments& arguments) {
  const auto key = TRY(baseline_key(arguments.key, arguments.store + "/x"));
  const auto releases = TRY(load_releases(arguments.store, key));
  for (const auto& baseline : releases.baselines) {
    const auto accepted = releases.accepted.find(baseline.profile);
    const bool is_newest = accepted != releases.accepted.end() && accepted->second == baseline.version;
    print(
        fmt::format("{} {}{}{}\n", baseline.profile, baseline.version,
                    find_revocation(releases.revoked, baseline.profile, baseline.version) != nullptr ? " revoked" : "",
                    is_newest ? " newest accepted" : ""));
  }
  return exit_ok;
}

}  // namespace

void add_release(CLI::App& app, Action& action) {
  auto* release = app.add_subcommand("release", "The store of releases that nodes may run");
  release->require_subcommand(1);
  auto arguments = std::make_shared<ReleaseArguments>();
  auto* add = release->add_subcommand("add", "Add a signed baseline; versions of a profile only go up");
  add->footer("Example: ingot release add out/inference/baseline.json --store releases --key keys/baseline.pub");
  add->add_option("BASELINE", arguments->baseline, "Signed baseline of a build")->required();
  add->add_option("--store", arguments->store, "Folder of the store")->required();
  add->add_option("--key", arguments->key, "Public key that baselines are signed with");
  auto* revoke = release->add_subcommand("revoke", "Take a release back");
  revoke->footer("Example: ingot release revoke inference 3 --why CVE-2026-1234 --store releases --keys keys");
  revoke->add_option("PROFILE", arguments->profile, "Name of the profile")->required();
  revoke->add_option("VERSION", arguments->version, "Version")->required();
  revoke->add_option("--why", arguments->why, "What a verdict gives as the cause")->required();
  revoke->add_option("--store", arguments->store, "Folder of the store")->required();
  revoke->add_option("--keys", arguments->keys, "Key folder to sign with")->required();
  add_pin_options(*revoke);
  auto* list = release->add_subcommand("list", "What is in the store");
  list->add_option("--store", arguments->store, "Folder of the store")->required();
  list->add_option("--key", arguments->key, "Public key that baselines are signed with");
  add->callback([=, &action] { action = [arguments] { return run_add(*arguments); }; });
  revoke->callback([=, &action] { action = [arguments] { return run_revoke(*arguments); }; });
  list->callback([=, &action] { action = [arguments] { return run_list(*arguments); }; });
}

}  // namespace ingot::cli
