// The one place that spawns tools.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::builder {

struct Command {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH (sbin folders added)
  /// Added to the fixed one: PATH (ours and the sbin folders), LC_ALL=C.UTF-8, TZ=UTC, HOME=/nonexistent.
  std::map<std::string, std::string> environment = {};
  std::string working_directory = {};  ///< empty: ours
  /// Writes the tool's standard input through the function it is given, in a thread of its own; null: /dev/null. An
  /// error it returns kills the tool and is run()'s error.
  std::function<Result<void>(const std::function<Result<void>(Bytes)>& write)> standard_input = {};
  /// Receives standard output in chunks; null: collected into Completed::output (at most 64 MiB).
  std::function<Result<void>(Bytes)> standard_output = {};
  /// Receives each line of standard error as it comes; its last 40 lines are kept for the error anyway.
  std::function<void(std::string_view)> standard_error = {};
  double timeout_seconds = 0;  ///< 0: none
};

struct Completed {
  int exit_code = 0;
  Buffer output;
  std::string error_tail;
};

/// Runs with umask 022, in its own process group, killed with us (PR_SET_PDEATHSIG) and at the time-out. A tool that is
/// not installed is `missing` and names the Debian package where known; a non-zero exit is not an error here. When the
/// tool has ended, whatever it left in its process group is killed.
Result<Completed> run(const Command& command);
/// run(), and any exit but 0 is `tool_failed` with the command and the end of its standard error.
Result<Completed> run_checked(const Command& command);

/// A tool that keeps running beside us: QEMU, swtpm. Killed (SIGTERM, then SIGKILL) and reaped when destroyed. It also
/// dies with the thread that started it, so start it from one that lasts.
class Background {
 public:
  /// Both outputs are appended to `log_path`; only argv, environment and working_directory of the command count.
  static Result<Background> start(const Command& command, const std::string& log_path);
  Background(Background&&) noexcept;
  Background& operator=(Background&&) noexcept;
  ~Background();
  [[nodiscard]] int pid() const { return pid_; }
  /// Exit code if it ended (128 + signal when killed), nothing while it runs.
  std::optional<int> poll();
  void stop();

 private:
  explicit Background(int pid) : pid_(pid) {}
  int pid_ = -1;
  std::optional<int> ended_;
};

/// A private temporary folder (0700) below `parent`, removed with everything in it when destroyed.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create(const std::string& parent, std::string_view prefix);
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Removes a folder and everything in it, as far as that goes; follows no link and enters no other file system.
void remove_folder(const std::string& path);

}  // namespace ingot::builder
