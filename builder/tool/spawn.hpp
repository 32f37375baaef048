// The fork and the exec, without pipes and loops.
#pragma once

#include <sys/types.h>

#include "ingot/builder/process.hpp"

namespace ingot::builder::detail {

/// Descriptors that become 0, 1 and 2 of the tool.
struct StandardStreams {
  int input = -1;
  int output = -1;
  int error = -1;
};

/// Starts the tool as the leader of a new process group. The calling thread must outlive it: the parent-death signal
/// comes when that thread ends. Errors: missing (not installed), io (could not be started).
Result<pid_t> spawn(const Command& command, const StandardStreams& streams);

/// Exit status as the shell tells it: 128 + signal when killed.
int exit_code_of(int wait_status);

/// SIGTERM to the process group, SIGKILL when `leader` has not ended after `grace_milliseconds`; reaps the leader.
int end_group(pid_t leader, int grace_milliseconds);

}  // namespace ingot::builder::detail
