// Accounts: the profile's users, and nobody else who could log in. passwd(5), group(5), shadow(5), gshadow(5).
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "bastion.hpp"
#include "parts.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::uint64_t account_file_cap_bytes = 16u << 20;
constexpr std::string_view home_folder = "/var/home";  // the root file system is read-only
constexpr std::string_view nologin = "/usr/sbin/nologin";
constexpr std::string_view sugroup_gid = "898";  // Debian gives numbers below 1000 from the top downwards

using Fields = std::vector<std::string>;

Fields split(std::string_view text, char separator) {
  Fields fields;
  for (;;) {
    const auto end = text.find(separator);
    fields.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return fields;
    text.remove_prefix(end + 1);
  }
}

/// Lines of ':'-separated fields. Missing files are empty ones; a line with another number of fields is an error.
Result<std::vector<Fields>> read_table(const Tree& tree, const std::string& path, std::size_t field_count) {
  std::vector<Fields> rows;
  if (tree.resolve(path) == nullptr) return rows;
  const auto bytes = TRY(read_tree_file(tree, path, account_file_cap_bytes));
  for (const auto& line : split(as_text(bytes), '\n')) {
    if (line.empty()) continue;
    rows.push_back(split(line, ':'));
    if (rows.back().size() != field_count)
      return fail(ErrorCode::malformed, fmt::format("{} of the base tree: \"{}\" has {} fields, expected {}", path,
                                                    line, rows.back().size(), field_count));
  }
  return rows;
}

std::string render_table(const std::vector<Fields>& rows) {
  std::string text;
  for (const auto& row : rows) text += fmt::format("{}\n", fmt::join(row, ":"));
  return text;
}

Fields* find_row(std::vector<Fields>& rows, std::string_view name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Fields& row) { return row.front() == name; });
  return found == rows.end() ? nullptr : &*found;
}

struct Accounts {
  std::vector<Fields> passwd, group, shadow, gshadow;
};

Result<void> check_new(Accounts& accounts, const User& user) {
  const auto uid = fmt::format("{}", user.uid);
  const auto clash = [&](const std::vector<Fields>& rows) {
    return std::find_if(rows.begin(), rows.end(),
                        [&](const Fields& row) { return row[0] == user.name || row[2] == uid; });
  };
  if (const auto row = clash(accounts.passwd); row != accounts.passwd.end())
    return fail(ErrorCode::malformed,
                fmt::format("[users.{}] with uid {}: the base has the account {} with uid {}", user.name, uid,
                            (*row)[0], (*row)[2]),
                "take another name and uid");
  if (const auto row = clash(accounts.group); row != accounts.group.end())
    return fail(ErrorCode::malformed,
                fmt::format("[users.{}] with uid {}: the base has the group {} with gid {}", user.name, uid, (*row)[0],
                            (*row)[2]),
                "take another name and uid");
  return {};
}

Result<void> add_user(Accounts& accounts, const User& user) {
  TRY(check_new(accounts, user));
  const auto id = fmt::format("{}", user.uid);
  accounts.passwd.push_back({user.name, "x", id, id, "", fmt::format("{}/{}", home_folder, user.name), user.shell});
  // No password and none that could expire: pam_unix would ask for a new one at every login with a key.
  accounts.shadow.push_back({user.name, "!*", "19723", "", "", "", "", "", ""});
  accounts.group.push_back({user.name, "x", id, ""});
  accounts.gshadow.push_back({user.name, "!", "", ""});
  for (const auto& name : user.groups) {
    auto* group = find_row(accounts.group, name);
    if (group == nullptr)
      return fail(ErrorCode::malformed, fmt::format("[users.{}]: the base has no group {}", user.name, name),
                  "take it out of groups, or add the package that brings it");
    auto& members = group->back();
    members += members.empty() ? user.name : "," + user.name;
    if (auto* shadowed = find_row(accounts.gshadow, name)) shadowed->back() = members;
  }
  return {};
}

/// What packages and bases bring along: no shell, no password.
void close_other_accounts(Accounts& accounts) {
  for (auto& row : accounts.passwd)
    if (row[2] != "0") row.back() = nologin;
  for (auto& row : accounts.shadow)
    if (!row[1].starts_with('!') && !row[1].starts_with('*')) row[1] = "!*";
  for (const auto& row : accounts.passwd)
    if (find_row(accounts.shadow, row.front()) == nullptr)
      accounts.shadow.push_back({row.front(), "!*", "19723", "", "", "", "", "", ""});
}

/// login.defs(5) with some values set, whether they are there, commented out or not there.
std::string with_login_defaults(std::string_view text) {
  const std::pair<std::string_view, std::string_view> wanted[] = {{"UMASK", "077"},
                                                                  {"HOME_MODE", "0700"},
                                                                  {"PASS_MAX_DAYS", "365"},
                                                                  {"PASS_MIN_DAYS", "1"},
                                                                  {"PASS_WARN_AGE", "7"},
                                                                  {"USERGROUPS_ENAB", "no"},
                                                                  {"ENCRYPT_METHOD", "YESCRYPT"},
                                                                  {"LOG_OK_LOGINS", "yes"},
                                                                  {"SHA_CRYPT_MIN_ROUNDS", "65536"}};
  std::string out(made_by);
  for (const auto& [name, value] : wanted) out += fmt::format("{} {}\n", name, value);
  for (const auto& line : split(text, '\n')) {
    const auto name = line.substr(0, line.find_first_of(" \t"));
    const bool is_set =
        std::any_of(std::begin(wanted), std::end(wanted), [&](const auto& row) { return row.first == name; });
    if (!line.empty() && line.front() != '#' && !is_set) out += line + "\n";
  }
  return out;
}

bool has_module(const Tree& tree, std::string_view name) {
  const auto ending = fmt::format("/security/{}", name);
  return std::any_of(tree.entries.begin(), tree.entries.end(),
                     [&](const auto& entry) { return entry.first.ends_with(ending); });
}

/// pam.d(5): passwords open nothing here; the stacks are strict for the day somebody sets one.
void add_pam(ConfigPart& part, const Tree& tree) {
  const bool counts = has_module(tree, "pam_faillock.so");
  // faillock(8): a right password of an account that is not locked jumps over the count and ends at authsucc.
  add_file(
      part, "/etc/pam.d/common-auth",
      fmt::format("{}{}auth [success=1 default=ignore] pam_unix.so\n{}", made_by,
                  counts ? "auth required pam_faillock.so preauth\n" : "",
                  counts ? "auth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\n"
                           "auth requisite pam_deny.so\n"
                         : "auth requisite pam_deny.so\nauth required pam_permit.so\n"));
  add_file(part, "/etc/pam.d/common-account",
           fmt::format("{}account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
                       "account requisite pam_deny.so\naccount required pam_permit.so\n{}",
                       made_by, counts ? "account required pam_faillock.so\n" : ""));
  add_file(
      part, "/etc/pam.d/common-password",
      fmt::format("{}{}{}password [success=1 default=ignore] pam_unix.so obscure use_authtok try_first_pass "
                  "yescrypt\npassword requisite pam_deny.so\npassword required pam_permit.so\n",
                  made_by, has_module(tree, "pam_pwquality.so") ? "password requisite pam_pwquality.so retry=3\n" : "",
                  has_module(tree, "pam_pwhistory.so")
                      ? "password requisite pam_pwhistory.so remember=24 enforce_for_root try_first_pass use_authtok\n"
                      : ""));
  add_file(part, "/etc/pam.d/su",
           fmt::format("{}auth sufficient pam_rootok.so\nauth required pam_wheel.so use_uid group=sugroup\n"
                       "session required pam_limits.so\n@include common-auth\n@include common-account\n"
                       "@include common-session\n",
                       made_by));
  add_file(part, "/etc/security/faillock.conf",
           fmt::format("{}audit\ndeny = 3\nfail_interval = 900\nunlock_time = 900\neven_deny_root\n"
                       "root_unlock_time = 900\n",
                       made_by));
  add_file(part, "/etc/security/pwquality.conf",
           fmt::format("{}minlen = 15\nminclass = 4\ndcredit = -1\nucredit = -1\nocredit = -1\nlcredit = -1\n"
                       "difok = 2\nmaxrepeat = 3\nmaxsequence = 3\ndictcheck = 1\nenforcing = 1\nenforce_for_root\n",
                       made_by));
  part.removed.emplace_back("/etc/security/limits.d/10-coredump-debian.conf");
  add_file(part, "/etc/security/limits.d/ingot.conf", fmt::format("{}* hard core 0\nroot hard core 0\n", made_by));
}

/// Shells that nobody types in for ten minutes end; what people write is theirs alone. bash alone knows `typeset`.
Result<void> add_shell_defaults(ConfigPart& part, const Tree& tree) {
  add_file(part, "/etc/profile.d/ingot.sh",
           fmt::format("{}if [ -n \"${{BASH_VERSION-}}\" ]; then\n  typeset -xr TMOUT=600\nfi\numask 077\n", made_by));
  if (tree.resolve("/etc/bash.bashrc") != nullptr) {
    const auto old = TRY(read_tree_file(tree, "/etc/bash.bashrc", 1u << 20));
    add_file(part, "/etc/bash.bashrc", fmt::format("{}\numask 077\n", as_text(old)));
  }
  constexpr std::string_view banner = "Authorised use only. What is done on this node is recorded.\n";
  for (const auto* path : {"/etc/issue", "/etc/issue.net", "/etc/motd"}) add_file(part, path, banner);
  return {};
}

/// Who keeps a shell although nobody can log in, and who is in which group: everybody else is a finding.
void add_account_settings(ConfigPart& part, const Accounts& accounts) {
  const auto has_row = [&](const std::string& name) {
    return std::any_of(part.settings.begin(), part.settings.end(),
                       [&](const Setting& row) { return row.name == name; });
  };
  for (const auto& row : accounts.passwd)
    if (row[2] == "0" && !has_row(row[0]))
      part.settings.push_back(
          {SettingArea::account, row[0], "uid 0, password locked", "/etc/passwd", "CIS, nobody logs in as root", ""});
  for (const auto& row : accounts.group)
    if (!row.back().empty())
      part.settings.push_back(
          {SettingArea::account, "group " + row[0], row.back(), "/etc/group", "base and profile [users]", ""});
}

void add_account_files(ConfigPart& part, const Tree& tree, const Accounts& accounts) {
  const auto put = [&](const char* path, const std::vector<Fields>& rows, unsigned mode) {
    const auto* old = tree.resolve(path);  // Debian: root:shadow 0640
    part.files.push_back({path, to_buffer(as_bytes(render_table(rows))), mode, 0, old == nullptr ? 0 : old->gid});
  };
  put("/etc/passwd", accounts.passwd, 0644);
  put("/etc/group", accounts.group, 0644);
  put("/etc/shadow", accounts.shadow, 0640);
  put("/etc/gshadow", accounts.gshadow, 0640);
}

}  // namespace

Result<ConfigPart> render_accounts(const Profile& profile, const Tree& tree) {
  Accounts accounts{TRY(read_table(tree, "/etc/passwd", 7)), {}, {}, {}};
  accounts.group = TRY(read_table(tree, "/etc/group", 4));
  accounts.shadow = TRY(read_table(tree, "/etc/shadow", 9));
  accounts.gshadow = TRY(read_table(tree, "/etc/gshadow", 4));
  close_other_accounts(accounts);
  ConfigPart part;
  if (const auto* root = find_row(accounts.passwd, "root"))
    part.settings.push_back({SettingArea::account, "root",
                             fmt::format("uid 0, shell {}, password locked", root->back()), "/etc/passwd",
                             "CIS, ANSSI-BP-028 R33", ""});
  std::string homes = fmt::format("{}d {} 0755 root root -\n", made_by, home_folder);
  for (const auto& [name, user] : profile.users) {
    if (tree.resolve(user.shell) == nullptr)
      return fail(ErrorCode::malformed, fmt::format("[users.{}]: the base has no shell {}", name, user.shell));
    TRY(add_user(accounts, user));
    homes += fmt::format("d {0}/{1} 0700 {1} {1} -\n", home_folder, name);
    part.settings.push_back({SettingArea::account, name,
                             fmt::format("uid {}, shell {}, password locked", user.uid, user.shell), "/etc/passwd",
                             "profile [users]", ""});
  }
  if (is_bastion(profile)) {
    const std::string name(onward_account), id(onward_uid);
    accounts.passwd.push_back({name, "x", id, id, "", "/var/lib/ingot/bastion", std::string(nologin)});
    accounts.shadow.push_back({name, "!*", "19723", "", "", "", "", "", ""});
    accounts.group.push_back({name, "x", id, ""});
    accounts.gshadow.push_back({name, "!", "", ""});
  }
  if (find_row(accounts.group, "sugroup") == nullptr) {  // pam_wheel: empty, so that nobody may use su (CIS)
    accounts.group.push_back({"sugroup", "x", std::string(sugroup_gid), ""});
    accounts.gshadow.push_back({"sugroup", "!", "", ""});
  }
  add_account_settings(part, accounts);
  add_account_files(part, tree, accounts);
  add_file(part, "/usr/lib/tmpfiles.d/ingot-users.conf", homes);
  if (tree.resolve("/etc/login.defs") != nullptr) {
    const auto old = TRY(read_tree_file(tree, "/etc/login.defs", 1u << 20));
    add_file(part, "/etc/login.defs", with_login_defaults(as_text(old)));
  }
  add_file(part, "/etc/default/useradd", fmt::format("{}SHELL=/bin/bash\nINACTIVE=30\n", made_by));
  add_pam(part, tree);
  TRY(add_shell_defaults(part, tree));
  return part;
}

}  // namespace ingot::builder::detail
