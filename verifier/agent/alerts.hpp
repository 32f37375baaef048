// `ingot-agent alerts`: on the collector, records in, alerts out.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

struct AlertOptions {
  std::string node;    ///< whose records they are; [A-Za-z0-9.-]+
  std::string socket;  ///< of journald; empty: /run/systemd/journal/socket
};
/// Reads the Journal Export Format on standard input to its end and sends an alert to the journal for each record that
/// meets a rule: priority alert, INGOT_ALERT, INGOT_NODE, INGOT_RECORD, INGOT_RECORD_TIME. Errors: usage, malformed
/// (the input), io (the socket).
Result<void> run_alerts(const AlertOptions& options);

}  // namespace ingot::agent
