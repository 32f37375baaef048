#include "ingot/check/grammar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "ingot/base/guid.hpp"
#include "ingot/codec/event_text.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::check {
namespace {

constexpr PcrIndex firmware_pcr_count = 8;
constexpr PcrIndex boot_manager_pcr = 4;
constexpr PcrIndex exit_pcr = 5;
constexpr PcrIndex secure_boot_pcr = 7;
/// PFP 1.06, "EV_SEPARATOR": zeroes; anything else says that the firmware failed on its way.
const Buffer separator_data(4, 0);

constexpr std::string_view exit_invocation = "Exit Boot Services Invocation";
constexpr std::string_view exit_success = "Exit Boot Services Returned with Success";
constexpr std::string_view debug_action = "UEFI Debug Mode";

/// "PCR[7] - Secure Boot Policy Measurements": in this order; the last two only where they exist.
constexpr std::array<std::string_view, 7> policy_variables = {"SecureBoot", "PK", "KEK", "db", "dbx", "dbt", "dbr"};
constexpr std::size_t required_variables = 5;

bool is_action(const Event& event, std::string_view text) {
  auto data = as_text(event.data);
  while (data.ends_with('\0')) data.remove_suffix(1);
  return (event.type == EventType::EV_EFI_ACTION || event.type == EventType::EV_ACTION) && data == text;
}

/// Types whose data is what was hashed ("Event Types", column "Digest").
bool hashes_its_data(EventType type) {
  switch (type) {
    case EventType::EV_SEPARATOR:
    case EventType::EV_ACTION:
    case EventType::EV_EFI_ACTION:
    case EventType::EV_S_CRTM_VERSION:
    case EventType::EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EventType::EV_EFI_VARIABLE_AUTHORITY:
    case EventType::EV_EFI_VARIABLE_BOOT2:
    case EventType::EV_EFI_GPT_EVENT:
    case EventType::EV_EFI_HANDOFF_TABLES2:
    case EventType::EV_PLATFORM_CONFIG_FLAGS:
    case EventType::EV_TABLE_OF_DEVICES:
    case EventType::EV_OMIT_BOOT_DEVICE_EVENTS:
      return true;
    default:
      return false;
  }
}

/// False when the type says a structure, and the data is none.
bool is_sound(const Event& event) {
  switch (event.type) {
    case EventType::EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EventType::EV_EFI_VARIABLE_AUTHORITY:
    case EventType::EV_EFI_VARIABLE_BOOT:
    case EventType::EV_EFI_VARIABLE_BOOT2:
      return codec::decode_measured_variable(event.data).has_value();
    case EventType::EV_EFI_BOOT_SERVICES_APPLICATION:
    case EventType::EV_EFI_BOOT_SERVICES_DRIVER:
    case EventType::EV_EFI_RUNTIME_SERVICES_DRIVER:
      return codec::decode_image_load(event.data).has_value();
    default:
      return true;
  }
}

bool is_known(EventType type) { return !to_text(type).starts_with("0x"); }

// --- habits of firmware, each with the log that shows it

bool boot_variable_late(const LogProblem& problem, const codec::EventLog& log) {
  return problem.kind == LogProblemKind::event_after_separator && problem.pcr == 1 &&
         log.events[problem.event].type == EventType::EV_EFI_VARIABLE_BOOT;
}

bool tables_late(const LogProblem& problem, const codec::EventLog& log) {
  if (problem.kind != LogProblemKind::event_after_separator || problem.pcr != 1) return false;
  const auto type = log.events[problem.event].type;
  return type == EventType::EV_EFI_HANDOFF_TABLES || type == EventType::EV_PLATFORM_CONFIG_FLAGS;
}

bool application_of_firmware(const LogProblem& problem, const codec::EventLog& log) {
  if (problem.kind != LogProblemKind::application_early) return false;
  const auto load = codec::decode_image_load(log.events[problem.event].data);
  return load && codec::device_path_text(load->device_path).starts_with("Fv(");
}

/// shim's own variables are below this GUID; its older releases logged some bytes behind the data, the last of them not
/// hashed.
bool shim_tail(const LogProblem& problem, const codec::EventLog& log) {
  if (problem.kind != LogProblemKind::data_invalid && problem.kind != LogProblemKind::digest_not_of_data) return false;
  const auto& event = log.events[problem.event];
  const Bytes data = event.data;
  return event.type == EventType::EV_EFI_VARIABLE_AUTHORITY && data.size() > 32 && guid_from(data.first(16)) == codec::shim_lock_guid &&
         codec::is_digest_of(event, data.first(data.size() - 1));
}

/// shim and GRUB of some releases describe the image that they start by a structure of zeroes with a few bytes behind
/// it.
bool loader_without_path(const LogProblem& problem, const codec::EventLog& log) {
  if (problem.kind != LogProblemKind::data_invalid) return false;
  const auto& event = log.events[problem.event];
  constexpr std::size_t fixed_fields = 24;  // location, length and link-time address
  return event.type == EventType::EV_EFI_BOOT_SERVICES_APPLICATION && event.data.size() == 41 &&
         std::all_of(event.data.begin(), event.data.begin() + fixed_fields, [](auto byte) { return byte == 0; });
}

/// Kernels before 5.3, and copies of the ACPI table, lack what was measured after the log was first read.
bool without_final_events(const LogProblem& problem, const codec::EventLog& log) {
  return problem.kind == LogProblemKind::exit_missing &&
         std::none_of(log.events.begin(), log.events.end(),
                      [](const Event& event) { return is_action(event, exit_invocation); });
}

struct Quirk {
  FirmwareQuirk named;
  bool (*explains)(const LogProblem& problem, const codec::EventLog& log);
};

const std::vector<Quirk>& quirks() {
  static const std::vector<Quirk> table = {
      {{"boot-variables-after-separator", "boot variables are measured into PCR 1 behind its separator",
        "event-arch-linux.bin"},
       boot_variable_late},
      {{"tables-after-separator", "SMBIOS tables and settings are measured into PCR 1 behind its separator",
        "keylime-server.bin"},
       tables_late},
      {{"firmware-application", "an application of the firmware's own volume runs before the boot manager",
        "keylime-server.bin"},
       application_of_firmware},
      {{"shim-authority-tail", "an old shim logs bytes behind the authority that it measured", "event-postcode.bin"},
       shim_tail},
      {{"loader-image-without-path", "a boot loader describes the image that it starts by zeroes", "gce-debian-10.bin"},
       loader_without_path},
      {{"no-final-events", "the log was taken without the final events table, so ExitBootServices is not in it",
        "gce-debian-10.bin"},
       without_final_events},
  };
  return table;
}

std::string quirk_of(const LogProblem& problem, const codec::EventLog& log) {
  for (const auto& quirk : quirks())
    if (quirk.explains(problem, log)) return quirk.named.name;
  return {};
}

class Grammar {
 public:
  explicit Grammar(const codec::EventLog& log) : log_(log) {}

  std::vector<LogProblem> run() {
    for (index_ = 0; index_ < log_.events.size(); ++index_) {
      const auto& event = log_.events[index_];
      if (event.type == EventType::EV_NO_ACTION) continue;
      if (event.pcr < firmware_pcr_count) firmware_event(event);
    }
    finish();
    return std::move(problems_);
  }

 private:
  void report(LogProblemKind kind, PcrIndex pcr, std::string detail) {
    LogProblem problem{kind, index_, pcr, std::move(detail), {}};
    problem.quirk = quirk_of(problem, log_);
    problems_.push_back(std::move(problem));
  }

  void firmware_event(const Event& event) {
    if (!is_known(event.type)) report(LogProblemKind::type_unknown, event.pcr, to_text(event.type));
    if (exited_ && event.pcr != exit_pcr)
      report(LogProblemKind::event_after_exit, event.pcr,
             fmt::format("{} behind ExitBootServices", to_text(event.type)));
    check_data(event);
    if (event.type == EventType::EV_SEPARATOR) return separator(event);
    if (event.pcr == secure_boot_pcr) secure_boot(event);
    if (event.pcr == boot_manager_pcr && event.type == EventType::EV_EFI_BOOT_SERVICES_APPLICATION) {
      booted_ = true;
      if (!separators_.contains(event.pcr))
        report(LogProblemKind::application_early, event.pcr, "a boot application before the separator");
    }
    // PCR 0 to 3 and 6 are the platform's alone: they end with their separators.
    const bool ends = event.pcr <= 3 || event.pcr == 6;
    if (ends && separators_.contains(event.pcr))
      report(LogProblemKind::event_after_separator, event.pcr,
             fmt::format("{} behind the separator", to_text(event.type)));
    if (event.pcr == exit_pcr) boot_services_exit(event);
  }

  void check_data(const Event& event) {
    if (!is_sound(event)) report(LogProblemKind::data_invalid, event.pcr, to_text(event.type));
    if (event.type == EventType::EV_SEPARATOR || !hashes_its_data(event.type) || codec::is_digest_of(event, event.data))
      return;
    report(LogProblemKind::digest_not_of_data, event.pcr, to_text(event.type));
  }

  void separator(const Event& event) {
    if (!separators_.insert(event.pcr).second)
      report(LogProblemKind::separator_repeated, event.pcr, "a second separator");
    if (!codec::is_digest_of(event, event.data) || event.data.size() != separator_data.size())
      report(LogProblemKind::separator_disguised, event.pcr,
             fmt::format("data {}", to_hex(Bytes(event.data).first(std::min<std::size_t>(event.data.size(), 16)))));
    else if (event.data != separator_data)
      report(LogProblemKind::separator_error, event.pcr, fmt::format("data {}", to_hex(event.data)));
  }

  void secure_boot(const Event& event) {
    const bool ended = separators_.contains(event.pcr);
    if (is_action(event, debug_action)) report(LogProblemKind::debug_mode, event.pcr, std::string(debug_action));
    if (event.type == EventType::EV_EFI_VARIABLE_AUTHORITY) {
      if (!ended) report(LogProblemKind::authority_early, event.pcr, "an authority before the separator");
      has_authority_ = has_authority_ || ended;
    }
    if (event.type != EventType::EV_EFI_VARIABLE_DRIVER_CONFIG) return;
    const auto variable = codec::decode_measured_variable(event.data);
    if (!variable) return;  // its digest or the policy says the rest
    const auto place =
        std::find(policy_variables.begin(), policy_variables.end(), variable->name) - policy_variables.begin();
    if (static_cast<std::size_t>(place) == policy_variables.size()) return;
    if (!seen_.insert(variable->name).second)
      return report(LogProblemKind::variable_repeated, event.pcr, variable->name);
    if (ended || place < last_place_) report(LogProblemKind::variable_order, event.pcr, variable->name);
    last_place_ = std::max(last_place_, place);
    if (variable->name == "SecureBoot") secure_boot_on_ = variable->data == Buffer{1};
    if (variable->name == "PK") has_pk_ = !variable->data.empty();
  }

  void boot_services_exit(const Event& event) {
    if (is_action(event, exit_invocation)) invoked_ = true;
    if (is_action(event, exit_success)) exited_ = invoked_;
  }

  void finish() {
    index_ = log_.events.size();
    for (PcrIndex pcr = 0; pcr < firmware_pcr_count; ++pcr)
      if (!separators_.contains(pcr)) report(LogProblemKind::separator_missing, pcr, "no separator");
    for (std::size_t i = 0; i < required_variables; ++i)
      if (!seen_.contains(std::string(policy_variables[i])))
        report(LogProblemKind::variable_missing, secure_boot_pcr, std::string(policy_variables[i]));
    if (secure_boot_on_ && !has_pk_)
      report(LogProblemKind::secure_boot_without_pk, secure_boot_pcr, "Secure Boot is on, PK is empty");
    if (secure_boot_on_ && booted_ && !has_authority_)
      report(LogProblemKind::authority_missing, secure_boot_pcr,
             "Secure Boot is on, and no authority let the boot application in");
    if (!exited_) report(LogProblemKind::exit_missing, exit_pcr, "no successful ExitBootServices");
  }

  const codec::EventLog& log_;
  std::size_t index_ = 0;
  std::vector<LogProblem> problems_;
  std::set<PcrIndex> separators_;
  std::set<std::string> seen_;
  std::ptrdiff_t last_place_ = 0;
  bool secure_boot_on_ = false;
  bool has_pk_ = false;
  bool has_authority_ = false;
  bool booted_ = false;
  bool invoked_ = false;
  bool exited_ = false;
};

}  // namespace

namespace {

struct ProblemRow {
  LogProblemKind kind;
  std::string_view name;
  std::string_view meaning;
};
constexpr ProblemRow problem_rows[] = {
    {LogProblemKind::separator_missing, "separator-missing", "A PCR of 0 to 7 has no separator."},
    {LogProblemKind::separator_repeated, "separator-repeated", "A PCR has a second one."},
    {LogProblemKind::separator_error, "separator-error", "Its data says that the firmware failed."},
    {LogProblemKind::separator_disguised, "separator-disguised", "Its data is not what was hashed, or no separator's."},
    {LogProblemKind::variable_missing, "variable-missing", "A Secure Boot variable was not measured."},
    {LogProblemKind::variable_repeated, "variable-repeated", "A Secure Boot variable was measured twice."},
    {LogProblemKind::variable_order, "variable-order",
     "A Secure Boot variable was measured out of order, or behind PCR 7's separator."},
    {LogProblemKind::authority_missing, "authority-missing",
     "Secure Boot is on, and nothing says by whose signature the boot application was let in."},
    {LogProblemKind::authority_early, "authority-early", "An authority in front of PCR 7's separator."},
    {LogProblemKind::secure_boot_without_pk, "secure-boot-without-pk", "Secure Boot is on with an empty PK."},
    {LogProblemKind::debug_mode, "debug-mode", "The firmware says that a debugger may be attached."},
    {LogProblemKind::event_after_separator, "event-after-separator",
     "Firmware events behind the separator of a PCR that ends with it."},
    {LogProblemKind::application_early, "application-early", "A boot application in front of PCR 4's separator."},
    {LogProblemKind::exit_missing, "exit-missing", "ExitBootServices was not measured, or not its success."},
    {LogProblemKind::event_after_exit, "event-after-exit", "Firmware's PCRs were extended by the operating system."},
    {LogProblemKind::type_unknown, "type-unknown", "An event type without a meaning in a PCR of 0 to 7."},
    {LogProblemKind::data_invalid, "data-invalid", "The data is not the structure that its type says."},
    {LogProblemKind::digest_not_of_data, "digest-not-of-data",
     "The type says that its data was hashed, and it was not."},
};

const ProblemRow& row_of(LogProblemKind kind) { return problem_rows[static_cast<std::size_t>(kind)]; }

}  // namespace

std::string to_text(LogProblemKind kind) { return std::string(row_of(kind).name); }
std::string meaning(LogProblemKind kind) { return std::string(row_of(kind).meaning); }
std::vector<LogProblemKind> log_problem_kinds() {
  std::vector<LogProblemKind> kinds;
  for (const auto& row : problem_rows) kinds.push_back(row.kind);
  return kinds;
}

std::vector<LogProblem> check_grammar(const codec::EventLog& log) { return Grammar(log).run(); }

const std::vector<FirmwareQuirk>& firmware_quirks() {
  static const auto named = [] {
    std::vector<FirmwareQuirk> all;
    for (const auto& quirk : quirks()) all.push_back(quirk.named);
    return all;
  }();
  return named;
}

}  // namespace ingot::check
