// What `ingot keys plan` and `ingot keys revoke` have in common: machines, releases, and the folder that they write.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli.hpp"
#include "ingot/base/source.hpp"
#include "ingot/model/baseline.hpp"
#include "ingot/signer/lifecycle.hpp"

namespace ingot::cli {

struct LifecycleArguments {
  std::string vars, evidence;         ///< what machines have now: one of them
  std::string platform;               ///< may be empty
  std::vector<std::string> releases;  ///< output folders that must go on starting
  std::string keys, time, out;
};
/// --vars, --evidence, --platform, --release, --keys, --time, --out, and PINs.
void add_lifecycle_options(CLI::App& command, LifecycleArguments& arguments);

struct DeployedRelease {
  std::string place;
  SharedSource uki;
  Baseline baseline;
};

struct LifecycleInputs {
  signer::KeyFolder keys;
  measure::EnrolledVariables variables;
  std::optional<Platform> platform;
  std::vector<DeployedRelease> releases;
  codec::EfiTime time;
};
/// Releases and platform are signed by the folder's baseline key.
Result<LifecycleInputs> read_lifecycle_inputs(const LifecycleArguments& arguments);

/// Writes steps, platforms and baselines into a new folder and tells what each step is. `which`: the releases that have
/// to start after the last step; a step that lets none of `inputs` start, or a last one that stops one of these, is an
/// error (usage), and nothing is written.
enum class MustStart { one, all };
struct StepsOutput {
  std::string title;  ///< "rotate db"
  std::string folder;
  std::map<std::string, Buffer> more = {};  ///< further files of the folder, by name
};
Result<void> write_steps(const LifecycleInputs& inputs, const std::vector<signer::EnrolmentStep>& steps,
                         MustStart must_start, const StepsOutput& out);

}  // namespace ingot::cli
