// The order in which firmware measures. TCG PC Client Platform Firmware Profile 1.06, "PCR Usage" and "Event Logging":
// a log that breaks it was written by firmware with a known habit (a quirk), or by somebody else.
#pragma once

#include <string>
#include <vector>

#include "ingot/codec/event_log.hpp"

namespace ingot::check {

/// Closed set; the text form ("separator-missing") is stable and machine-readable.
enum class LogProblemKind {
  separator_missing,    ///< a PCR of 0 to 7 has no separator
  separator_repeated,   ///< a PCR has a second one
  separator_error,      ///< its data says that the firmware failed
  separator_disguised,  ///< its data is not what was hashed, or no separator's at all
  variable_missing,     ///< a Secure Boot variable was not measured
  variable_repeated,    ///< one was measured twice
  variable_order,       ///< one was measured out of order, or behind PCR 7's separator
  authority_missing,    ///< Secure Boot is on and nothing says by whose signature the boot application was let in
  authority_early,      ///< an authority in front of PCR 7's separator
  secure_boot_without_pk,
  debug_mode,             ///< the firmware says that a debugger may be attached
  event_after_separator,  ///< firmware events behind the separator of a PCR that ends with it
  application_early,      ///< a boot application in front of PCR 4's separator
  exit_missing,           ///< ExitBootServices was not measured, or not its success
  event_after_exit,       ///< firmware's PCRs were extended by the operating system
  type_unknown,           ///< an event type without a meaning in a PCR of 0 to 7
  data_invalid,           ///< the data is not the structure that its type says
  digest_not_of_data,     ///< the type says that its data was hashed, and it was not
};
std::string to_text(LogProblemKind kind);

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
