#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "layer.hpp"
#include "ssh_key.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::int64_t first_uid = 1000;
constexpr std::int64_t last_uid = 59999;  // above it systemd and Debian have ranges of their own
constexpr std::size_t list_cap = 256;

bool is_one_of(std::string_view text, std::string_view allowed, std::size_t longest) {
  return !text.empty() && text.size() <= longest && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// useradd(8) of Debian: a lower-case letter or '_', then those, digits and '-'.
bool is_account(std::string_view text) {
  return is_one_of(text, "abcdefghijklmnopqrstuvwxyz0123456789_-", 32) && text.front() != '-' &&
         (text.front() < '0' || text.front() > '9');
}
/// One line of AuthorizedPrincipalsFile is a principal and nothing else: no blank, no option, no comment.
bool is_principal(std::string_view text) {
  return is_one_of(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@+/:", 256);
}
/// sudoers(5): a path and plain arguments. Wildcards match blanks and slashes, so they give more than they seem to;
/// ',', ':',
/// '=' and '\' would need quoting.
bool is_command(std::string_view text) {
  return is_one_of(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@+/ ", 512) &&
         text.front() == '/' && text.back() != '/' && text.back() != ' ' && text.find("..") == std::string_view::npos;
}

Result<std::vector<std::string>> read_words(const TableReader& table, std::string_view key,
                                            bool (*is_good)(std::string_view), std::string_view expected) {
  std::vector<std::string> words;
  const auto texts = TRY(table.texts(key));
  if (!texts) return words;
  if (texts->size() > list_cap) return wrong(table.at(key), fmt::format("{} has more than {} elements", key, list_cap));
  for (const auto& word : *texts) {
    if (!is_good(word.value))
      return wrong(word.at, fmt::format("{} has \"{}\", expected {}", key, word.value, expected));
    words.push_back(word.value);
  }
  return words;
}

Result<User> read_user(const Located<std::string>& name, const TableReader& table) {
  TRY(table.only({"uid", "groups", "shell", "principals", "authorized_keys", "sudo"}));
  User user;
  user.name = name.value;
  const auto uid = TRY(table.integer("uid", first_uid, last_uid));
  if (!uid)
    return wrong(name.at, fmt::format("the user {} has no uid", name.value),
                 "give one from 1000 on and keep it: files on the data partition outlive the image");
  user.uid = static_cast<std::uint32_t>(uid->value);
  user.groups = TRY(read_words(table, "groups", is_account, "the name of a group"));
  user.principals = TRY(read_words(table, "principals", is_principal, "letters, digits and _-.@+/:"));
  user.sudo =
      TRY(read_words(table, "sudo", is_command,
                     "an absolute path and plain arguments, without wildcards: \"/usr/bin/systemctl restart nginx\""));
  if (const auto shell = TRY(table.text("shell"))) {
    if (!is_command(shell->value) || shell->value.find(' ') != std::string::npos)
      return wrong(shell->at, fmt::format("shell is \"{}\", expected an absolute path in the image", shell->value));
    user.shell = shell->value;
  }
  if (const auto keys = TRY(table.texts("authorized_keys"))) {
    if (keys->size() > list_cap) return wrong(table.at("authorized_keys"), "more keys than anybody has");
    for (const auto& key : *keys)
      user.authorized_keys.push_back(TRY(read_public_key(key, fmt::format("a key of {}", name.value))));
  }
  if (user.principals.empty() && user.authorized_keys.empty())
    return wrong(
        name.at,
        fmt::format("the user {} has neither principals nor keys, so nobody can log in as {}", name.value, name.value),
        "add principals = [\"...\"] for certificates, or authorized_keys, or take the user away");
  return user;
}

}  // namespace

Result<void> apply_users(Draft& draft, const TableReader& users) {
  for (const auto& [key, node] : users.raw()) {
    const Located<std::string> name{std::string(key.str()), location(key.source(), users.file())};
    if (!is_account(name.value) || name.value == "root")
      return wrong(name.at, fmt::format("\"{}\" is not a user's name", name.value),
                   "up to 32 of a-z, 0-9, _ and -, a letter first; root cannot log in");
    if (const auto* flag = node.as_boolean(); flag != nullptr && !flag->get()) {
      if (draft.profile.users.erase(name.value) == 0)
        return wrong(name.at, fmt::format("{} = false takes away a user that is not inherited", name.value));
      continue;
    }
    const auto* table = node.as_table();
    if (table == nullptr) return wrong(name.at, fmt::format("{} is not a table", name.value), "write [users.NAME]");
    auto user = TRY(read_user(name, TableReader(*table, users.file(), fmt::format("[users.{}]", name.value))));
    draft.profile.users.insert_or_assign(name.value, std::move(user));
    draft.user_at.insert_or_assign(name.value, name.at);
  }
  return {};
}

Result<void> finish_users(const Draft& draft) {
  const auto& profile = draft.profile;
  std::map<std::uint32_t, std::string> by_uid;
  for (const auto& [name, user] : profile.users) {
    const auto [other, added] = by_uid.emplace(user.uid, name);
    if (!added)
      return wrong(draft.user_at.at(name),
                   fmt::format("{} and {} have the same uid {}", other->second, name, user.uid));
    if (profile.ssh.enabled && profile.ssh.ca.empty() && user.authorized_keys.empty())
      return wrong(draft.user_at.at(name),
                   fmt::format("{} logs in with certificates, and [ssh] names no CA that signs them", name),
                   "add ca = [\"ssh-ca.pub\"] to [ssh], or authorized_keys for this user");
  }
  if (!profile.ssh.enabled) return {};
  const auto at = draft.ssh_at.value_or(draft.end);
  if (profile.users.empty())
    return wrong(at, "[ssh] is enabled and there is no user: everybody is locked out",
                 "add [users.NAME], or say enabled = false and the daemon is not in the image");
  if (profile.ssh.from.empty())
    return wrong(at, "[ssh] is enabled and nobody may connect: everybody is locked out",
                 "add from = [\"10.0.0.0/24\"], the bastion's network");
  return {};
}

}  // namespace ingot::builder::detail
