// What the commands share: the contract of DESIGN.md, "The command line".
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "ingot/base/result.hpp"
#include "ingot/builder/progress.hpp"

namespace ingot::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_findings = 1;

/// Set by the command that was chosen; called once after parsing. Returns the exit status.
using Action = std::function<Result<int>()>;

void add_keys(CLI::App& app, Action& action);
void add_build(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_platform(CLI::App& app, Action& action);
void add_log(CLI::App& app, Action& action);
void add_enroll(CLI::App& app, Action& action);
void add_release(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_findings(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);
void add_settings(CLI::App& app, Action& action);
void add_rig(CLI::App& app, Action& action);
void add_segment(CLI::App& app, Action& action);
void add_seal(CLI::App& app, Action& action);
void add_recover(CLI::App& app, Action& action);
void add_sign(CLI::App& app, Action& action);
// Below `ingot sign`.
void add_sign_pe(CLI::App& sign, Action& action);
void add_sign_list(CLI::App& sign, Action& action);
void add_sign_module(CLI::App& sign, Action& action);
void add_sign_answer(CLI::App& sign, Action& action);
void add_sign_log(CLI::App& sign, Action& action);
void add_sign_variables(CLI::App& sign, Action& action);
void add_sign_update(CLI::App& sign, Action& action);
// Below `ingot keys`.
void add_keys_show(CLI::App& keys, Action& action);
void add_keys_next(CLI::App& keys, Action& action);
void add_keys_plan(CLI::App& keys, Action& action);
void add_keys_revoke(CLI::App& keys, Action& action);

/// Human text, one line, to standard error.
void say(std::string_view line);
/// The one JSON document of a command, or what a command without --json is for, to standard output.
void print(std::string_view text);

/// Steps and bars on standard error; bars only when it is a terminal.
class TerminalProgress final : public builder::Progress {
 public:
  TerminalProgress();
  ~TerminalProgress() override;
  void step(std::string_view name, std::string_view detail) override;
  void at(std::uint64_t done, std::uint64_t total) override;
  void cached() override;
  /// Ends the current line with the time that the step took.
  void finish();

 private:
  void redraw(std::string_view bar);
  bool terminal_;
  bool open_ = false;
  bool cached_ = false;
  std::string name_;
  std::string detail_;
  double started_ = 0;
  double drawn_ = 0;
};

/// Default folder for caches: $XDG_CACHE_HOME/ingot or ~/.cache/ingot.
std::string default_cache();
/// The folder that the running `ingot` lies in: ingot-agent is beside it.
std::string program_folder();

}  // namespace ingot::cli
