// auditd and its rules: one finished file, loaded by auditctl itself; augenrules would write into /etc, which is
// read-only.
#include <algorithm>

#include "parts.hpp"
#include "sandbox.hpp"
#include "set_id.hpp"
#include "settings_rows.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::string_view rules_drop_in = R"([Service]
RemainAfterExit=yes
ExecStart=
ExecStart=/usr/sbin/auditctl -R /etc/audit/audit.rules
)";

constexpr std::string_view auditd_drop_in = R"([Service]
OOMScoreAdjust=-1000
ReadWritePaths=/run
LogsDirectory=audit
LogsDirectoryMode=0700
)";

/// auditd.conf(5). Records leave by the journal; what auditd keeps on the node is for the case that nothing leaves.
constexpr std::string_view auditd_conf = R"(local_events = yes
write_logs = yes
log_file = /var/log/audit/audit.log
log_group = root
log_format = ENRICHED
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file = 32
num_logs = 8
priority_boost = 4
name_format = HOSTNAME
max_log_file_action = ROTATE
space_left = 25%
space_left_action = SYSLOG
admin_space_left = 10%
admin_space_left_action = SYSLOG
disk_full_action = SYSLOG
disk_error_action = SYSLOG
verify_email = no
distribute_network = no
q_depth = 8192
overflow_action = SYSLOG
max_restarts = 10
plugin_dir = /etc/audit/plugins.d
end_of_event_timeout = 2
)";

/// A program that gives more rights than its caller has: set-id, or with file capabilities.
bool is_privileged(const std::string& path, const TreeEntry& entry, const Profile& profile) {
  if (entry.type != EntryType::file || (entry.mode & 0111) == 0) return false;
  if (entry.xattrs.contains("security.capability")) return true;
  return (entry.mode & set_id_bits) != 0 && !set_id_reason(path).empty() &&
         (path != "/usr/bin/sudo" || may_sudo(profile));
}

std::vector<Setting> privileged_rules(const Profile& profile, const Tree& tree) {
  std::vector<Setting> rules;
  for (const auto& [path, entry] : tree.entries)
    if (is_privileged(path, entry, profile))
      rules.push_back(
          {SettingArea::audit_rule, "privileged",
           fmt::format(
               "-a always,exit -F arch=b64 -S all -F path={} -F perm=x -F auid>=1000 -F auid!=-1 -F key=privileged",
               path),
           std::string(audit_rules_file), "CIS, of this tree's set-id files and capabilities", ""});
  return rules;
}

/// The path of a watch ("-w PATH -p ..."); empty for other rules.
std::string watched_path(const std::string& rule) {
  return rule.starts_with("-w ") ? rule.substr(3, rule.find(' ', 3) - 3) : "";
}

/// auditctl refuses to watch below a folder that is not there. /var is made at boot.
bool can_watch(const Tree& tree, const std::string& path) {
  return path.empty() || path.starts_with("/var/") || tree.resolve(path) != nullptr;
}

}  // namespace

Result<ConfigPart> render_audit(const Profile& profile, const Tree& tree) {
  ConfigPart part;
  if (tree.resolve("/usr/sbin/auditctl") == nullptr) return part;
  for (const auto& [path, entry] : tree.entries)
    if (path.starts_with("/etc/audit/rules.d/")) part.removed.push_back(path);
  std::string text(made_by);
  std::string last;
  text += "-D\n";
  for (auto& setting : chosen_settings(profile.hardening, SettingArea::audit_status)) {
    if (setting.name == "backlog_limit") text += fmt::format("-b {}\n", setting.value);
    if (setting.name == "failure") text += fmt::format("-f {}\n", setting.value);
    if (setting.name == "enabled")
      last = fmt::format("-e {}\n", setting.value);  // 2 locks the rules: nothing may follow
    part.settings.push_back(std::move(setting));
  }
  auto rules = chosen_settings(profile.hardening, SettingArea::audit_rule);
  for (auto& rule : privileged_rules(profile, tree)) rules.push_back(std::move(rule));
  for (auto& rule : rules) {
    if (!can_watch(tree, watched_path(rule.value))) continue;
    text += rule.value + "\n";
    part.settings.push_back(std::move(rule));
  }
  add_file(part, std::string(audit_rules_file), text + last, 0640);
  add_file(part, "/etc/audit/auditd.conf", fmt::format("{}{}", made_by, auditd_conf), 0640);
  add_file(part, "/etc/systemd/system/audit-rules.service.d/ingot.conf",
           std::string(rules_drop_in) + sandbox_of("audit-rules.service"));
  add_file(part, "/etc/systemd/system/auditd.service.d/ingot.conf",
           std::string(auditd_drop_in) + sandbox_of("auditd.service"));
  want_unit(part, "auditd.service", "multi-user.target", "CIS, ANSSI-BP-028 R73");
  want_unit(part, "audit-rules.service", "multi-user.target", "CIS, ANSSI-BP-028 R73");
  return part;
}

}  // namespace ingot::builder::detail
