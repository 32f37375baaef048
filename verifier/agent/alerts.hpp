// `ingot-agent alerts`: on the collector, records in, alerts out.
#pragma once

#include <string>

#include "ingot/base/result.hpp"

namespace ingot::agent {

struct AlertOptions {
  std::string node;    ///< whose records they are; [A-Za-z0-9.-]+
  std::string socket;  ///< of journald; empty: /run/systemd/journal/socket
  std::string state;   ///< file that keeps the node's AlertLimit between deliveries; empty: none
};
/// Reads the Journal Export Format on standard input to its end and sends an alert to the journal for each record that
/// meets a rule: priority alert, INGOT_ALERT, INGOT_NODE, INGOT_RECORD, INGOT_RECORD_TIME. What is no record is an
/// alert, too, and those behind it are judged. Where there are too many (AlertLimit), one says in INGOT_MORE how many
/// more. Errors: usage, io (standard input, the socket, the state).
Result<void> run_alerts(const AlertOptions& options);

}  // namespace ingot::agent
