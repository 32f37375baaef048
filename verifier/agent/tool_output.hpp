// What a tool of the node prints. The only place of verifier/ that starts a process: which programs, with which
// arguments, is a table here, so nothing that comes from outside chooses what runs.
#pragma once

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"

namespace ingot::agent {

enum class Tool { sshd_settings, ruleset, audit_status, audit_rules, units, unit_files };

/// Its standard output. Errors: it is not there, ends with an error (with what it said), takes longer than 20 s, or
/// prints more than `cap_bytes`.
Result<Buffer> tool_output(Tool tool, std::size_t cap_bytes);

}  // namespace ingot::agent
