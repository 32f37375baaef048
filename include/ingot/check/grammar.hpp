// The order in which firmware measures. TCG PC Client Platform Firmware Profile 1.06, "PCR Usage" and "Event Logging":
// a log that breaks it was written by firmware with a known habit (a quirk), or by somebody else.
#pragma once

#include <string>
#include <vector>

#include "ingot/codec/event_log.hpp"

namespace ingot::check {

/// Closed set; text form and meaning are in one table (grammar.cpp), from which FINDINGS.md is made.
enum class LogProblemKind {
  separator_missing,
  separator_repeated,
  separator_error,
  separator_disguised,
  variable_missing,
  variable_repeated,
  variable_order,
  authority_missing,
  authority_early,
  secure_boot_without_pk,
  debug_mode,
  event_after_separator,
  application_early,
  exit_missing,
  event_after_exit,
  type_unknown,
  data_invalid,
  digest_not_of_data,
};
/// "separator-missing": stable and machine-readable.
std::string to_text(LogProblemKind kind);
/// What it means, in one sentence.
std::string meaning(LogProblemKind kind);
/// All kinds, in the order of the enumeration.
std::vector<LogProblemKind> log_problem_kinds();

struct LogProblem {
  LogProblemKind kind{};
  std::size_t event = 0;  ///< index in EventLog::events; their count for what is missing at the end
  PcrIndex pcr = 0;
  std::string detail;
  std::string quirk;  ///< name of the firmware habit that explains it; empty: none does
  bool operator==(const LogProblem&) const = default;
};

/// Every departure from the grammar, in the order of the log.
std::vector<LogProblem> check_grammar(const codec::EventLog& log);

/// A habit of real firmware: what it explains, and the log that shows it.
struct FirmwareQuirk {
  std::string name;
  std::string what;    ///< one sentence
  std::string vector;  ///< file below shared/vectors/eventlogs that has it
};
const std::vector<FirmwareQuirk>& firmware_quirks();

}  // namespace ingot::check
