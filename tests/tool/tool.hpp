// What tests with other people's tools have in common. tests/run installs all of packages.txt, so a tool that is
// missing there is a fault; the vectors of INGOT_SHARED may be missing anywhere.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "ingot/builder/process.hpp"

namespace ingot::test {

inline builder::TemporaryFolder scratch(const std::string& parent = std::filesystem::temp_directory_path()) {
  return builder::TemporaryFolder::create(parent, "ingot-test-").value();
}

/// Whatever its exit status.
inline builder::Completed run_tool(std::vector<std::string> argv, std::map<std::string, std::string> environment = {}) {
  builder::Command command;
  command.argv = std::move(argv);
  command.environment = std::move(environment);
  command.timeout_seconds = 120;
  auto done = builder::run(command);
  if (!done) FAIL(describe(done.error()));
  return *std::move(done);
}

/// Standard output of a tool that succeeds.
inline std::string output_of(std::vector<std::string> argv, std::map<std::string, std::string> environment = {}) {
  builder::Command command;
  command.argv = std::move(argv);
  command.environment = std::move(environment);
  const auto done = builder::run_checked(command);
  if (!done) FAIL(describe(done.error()));
  return std::string(as_text(done->output));
}

/// The newest kernel that is installed on this machine, signed by Debian; empty: none.
inline std::string host_kernel() {
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator("/boot"))
    if (entry.path().filename().string().starts_with("vmlinuz-")) newest = std::max(newest, entry.path().string());
  return newest;
}

/// Missing vectors are told, never passed over.
inline bool skipped(const std::string& path, const std::string& why) {
  if (std::filesystem::exists(path)) return false;
  std::cerr << "SKIPPED: " << why << " (" << path << " is not there)\n";
  return true;
}

/// A software TPM that `swtpm_setup OPTIONS` made in `folder`/state; tpm2-tools reach it through tcti(). What swtpm
/// says with `run_options` is in `folder`/swtpm.log.
class Swtpm {
 public:
  Swtpm(std::string folder, std::vector<std::string> setup_options, const std::vector<std::string>& run_options = {})
      : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_ + "/state");
    std::vector<std::string> setup = {"swtpm_setup", "--tpm2", "--tpmstate", folder_ + "/state"};
    setup.insert(setup.end(), setup_options.begin(), setup_options.end());
    output_of(std::move(setup), {{"XDG_CONFIG_HOME", folder_}});
    builder::Command command;
    command.argv = {"swtpm",
                    "socket",
                    "--tpm2",
                    "--tpmstate",
                    "dir=" + folder_ + "/state",
                    "--server",
                    "type=unixio,path=" + socket(),
                    "--ctrl",
                    "type=unixio,path=" + socket() + ".ctrl",
                    "--flags",
                    "startup-clear"};
    command.argv.insert(command.argv.end(), run_options.begin(), run_options.end());
    process_.emplace(builder::Background::start(command, folder_ + "/swtpm.log").value());
    for (int i = 0; i < 200 && !std::filesystem::exists(socket() + ".ctrl"); ++i) ::usleep(20'000);
  }
  [[nodiscard]] std::string socket() const { return folder_ + "/tpm"; }
  [[nodiscard]] std::map<std::string, std::string> tcti() const {
    return {{"TPM2TOOLS_TCTI", "swtpm:path=" + socket()}};
  }
  std::string tool(std::vector<std::string> argv) const { return output_of(std::move(argv), tcti()); }

 private:
  std::string folder_;
  std::optional<builder::Background> process_;
};

}  // namespace ingot::test
