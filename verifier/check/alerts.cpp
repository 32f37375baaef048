#include "ingot/check/alerts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

namespace ingot::check {
namespace {

enum class How { is, starts, contains };
struct Condition {
  std::string_view field;  ///< empty: none
  How how = How::is;
  std::string_view text;
};
struct Rule {
  std::string_view kind;
  std::string_view reason;
  std::array<Condition, 3> all;
};

constexpr Condition from_kernel = {"_TRANSPORT", How::is, "kernel"};
constexpr Condition from_audit = {"_TRANSPORT", How::is, "audit"};
constexpr Condition message(How how, std::string_view text) { return {"MESSAGE", how, text}; }
constexpr Condition audit_key(std::string_view text) { return {"MESSAGE", How::contains, text}; }
constexpr Condition program(std::string_view name) { return {"SYSLOG_IDENTIFIER", How::is, name}; }

// One table. Audit types are by number (linux/audit.h: 1330 KERN_MODULE, 1420 IPE_ACCESS), because journald names only
// those that it was built with. Audit keys are those of auditd's own rule files (43-module-load, 31-privileged) and of
// CIS; prefixes of dropped and counted packets are those that the ruleset gives them (builder/config/shipping.md).
constexpr Rule rules[] = {
    {"module-refused",
     "a kernel module without a valid signature was refused",
     {from_kernel, message(How::contains, "Loading of unsigned module is rejected")}},
    {"module-refused",
     "a kernel module signed by an unknown key was refused",
     {from_kernel, message(How::contains, "Loading of module with unavailable key is rejected")}},
    {"module-refused",
     "lockdown refused a kernel module",
     {from_kernel, message(How::contains, "unsigned module loading is restricted")}},
    {"module-refused",
     "a kernel module that is not of the image was refused",
     {from_audit, {"_AUDIT_TYPE", How::is, "1420"}, message(How::contains, "op=KMODULE")}},
    {"module-load", "a kernel module was loaded or asked for", {from_audit, audit_key("key=\"module-load\"")}},
    {"module-load", "a kernel module was loaded or asked for", {from_audit, audit_key("key=\"modules\"")}},
    {"module-load", "a kernel module was loaded or asked for", {from_audit, audit_key("key=\"kernel_modules\"")}},
    {"module-load", "a kernel module was loaded", {from_audit, {"_AUDIT_TYPE", How::is, "1330"}}},
    {"execution-refused",
     "a program that is not of the image was refused",
     {from_audit, {"_AUDIT_TYPE", How::is, "1420"}, message(How::contains, "op=EXECUTE")}},
    {"execution-refused", "a program was refused", {from_audit, audit_key("key=\"execution-refused\"")}},
    {"privilege", "sudo refused somebody", {program("sudo"), message(How::contains, "NOT in sudoers")}},
    {"privilege", "sudo refused somebody", {program("sudo"), message(How::contains, "authentication failure")}},
    {"session",
     "a session on a node was opened through the bastion",
     {program("sudo"), message(How::contains, "USER=ingot-onward"), message(How::contains, "/ingot-onward ")}},
    {"session-refused", "the bastion refused a session", {program("ingot-bastion"), {"PRIORITY", How::is, "4"}}},
    {"privilege", "a command ran with privileges", {program("sudo"), message(How::contains, "COMMAND=")}},
    {"privilege", "somebody became another user", {program("su"), message(How::contains, "session opened for user")}},
    {"privilege",
     "a program with privileges was run",
     {from_audit, audit_key("key=\"privileged\""), message(How::contains, "success=yes")}},
    {"privilege", "somebody acted as another user", {from_audit, audit_key("key=\"user_emulation\"")}},
    {"outbound", "a connection that no flow allows was refused", {from_kernel, message(How::starts, "ingot-drop-out")}},
    {"transfer",
     "one connection sent more than the site allows",
     {from_kernel, message(How::starts, "ingot-transfer")}},
    {"login-refused", "a login was refused", {program("sshd-session"), message(How::starts, "Failed ")}},
    {"login-refused", "a login was refused", {program("sshd-session"), message(How::starts, "Invalid user ")}},
    {"login-refused", "a login was refused", {program("sshd-session"), message(How::contains, "not allowed because")}},
    {"records-lost", "audit records were lost", {from_kernel, message(How::starts, "audit: audit_lost=")}},
    {"records-lost",
     "records that were not delivered are being lost",
     {program("ingot-queue"), {"PRIORITY", How::is, "1"}}},
    {"queue-fills", "records wait to be delivered", {program("ingot-queue"), {"PRIORITY", How::is, "2"}}},
};

bool holds(const Condition& condition, const codec::JournalRecord& record) {
  if (condition.field.empty()) return true;
  const auto field = record.find(condition.field);
  if (field == record.end()) return false;
  const std::string_view value = field->second;
  switch (condition.how) {
    case How::is:
      return value == condition.text;
    case How::starts:
      return value.starts_with(condition.text);
    case How::contains:
      return value.find(condition.text) != std::string_view::npos;
  }
  return false;
}

}  // namespace

std::optional<Alert> judge(const codec::JournalRecord& record) {
  // Our own alerts quote the records that caused them.
  if (record.contains("INGOT_ALERT")) return std::nullopt;
  for (const auto& rule : rules) {
    bool all = true;
    for (const auto& condition : rule.all) all = all && holds(condition, record);
    if (all) return Alert{rule.kind, rule.reason};
  }
  return std::nullopt;
}

bool AlertLimit::Minute::is_over(std::int64_t now_seconds) const {
  constexpr std::int64_t minute_seconds = 60;
  return now_seconds < start_seconds || now_seconds - start_seconds >= minute_seconds;  // before it: a clock was set
}

AlertLimit AlertLimit::parse(std::string_view text) {
  AlertLimit limit;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind;
    Minute minute;
    if (!(words >> kind >> minute.start_seconds >> minute.told >> minute.held) || minute.start_seconds < 0) continue;
    const bool is_known =
        kind == malformed_record.kind ||
        std::any_of(std::begin(rules), std::end(rules), [&](const auto& rule) { return rule.kind == kind; });
    if (is_known) limit.kinds_[kind] = minute;
  }
  return limit;
}

std::string AlertLimit::render() const {
  std::string text;
  for (const auto& [kind, minute] : kinds_)
    text += fmt::format("{} {} {} {}\n", kind, minute.start_seconds, minute.told, minute.held);
  return text;
}

bool AlertLimit::take(std::string_view kind, std::int64_t now_seconds) {
  auto at = kinds_.find(kind);
  if (at == kinds_.end()) at = kinds_.emplace(kind, Minute{now_seconds, 0, 0}).first;
  auto& minute = at->second;
  if (minute.is_over(now_seconds)) minute = {now_seconds, 0, minute.held};
  if (minute.told >= per_minute) {
    ++minute.held;
    return false;
  }
  ++minute.told;
  return true;
}

std::vector<AlertLimit::Held> AlertLimit::over(std::int64_t now_seconds) {
  std::vector<Held> out;
  for (auto& [kind, minute] : kinds_)
    if (minute.held > 0 && minute.is_over(now_seconds)) out.push_back({kind, std::exchange(minute.held, 0)});
  return out;
}

std::vector<AlertLimit::Held> AlertLimit::at_end(std::int64_t now_seconds) {
  auto out = over(now_seconds);
  for (auto& [kind, minute] : kinds_) {
    if (minute.held == 0 || minute.told > per_minute) continue;
    out.push_back({kind, std::exchange(minute.held, 0)});
    ++minute.told;
  }
  return out;
}

}  // namespace ingot::check
