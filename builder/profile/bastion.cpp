// [bastion]: the node that opens everybody's sessions on the others.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/builder/config.hpp"
#include "layer.hpp"
#include "ssh_key.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::size_t key_cap = 256;
constexpr std::string_view needed_packages[] = {"openssh-server", "sudo"};

Result<void> apply_accounts(std::vector<std::string>& into, const TableReader& table, std::string_view key) {
  const auto names = TRY(table.texts(key));
  if (!names) return {};
  into.clear();
  for (const auto& name : *names) into.push_back(name.value);
  return {};
}

Result<void> apply_host_ca(std::vector<std::string>& keys, const LocatedTexts& files, const std::string& folder) {
  keys.clear();
  for (const auto& file : files) {
    const auto content = TRY(read_profile_file(file, "host_ca", folder));
    const auto before = keys.size();
    for (auto rest = as_text(content); !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (!line.empty() && !line.starts_with('#'))
        keys.push_back(TRY(read_public_key({std::string(line), file.at}, fmt::format("host_ca \"{}\"", file.value))));
    }
    if (keys.size() == before) return wrong(file.at, fmt::format("host_ca \"{}\" has no key in it", file.value));
    if (keys.size() > key_cap) return wrong(file.at, fmt::format("more than {} host CA keys", key_cap));
  }
  return {};
}

}  // namespace

Result<void> apply_bastion(Draft& draft, const TableReader& table, const std::string& folder) {
  TRY(table.only({"enabled", "host_ca", "admins", "auditors"}));
  auto& bastion = draft.profile.bastion;
  bastion.at = table.at();
  bastion.enabled = true;
  if (const auto enabled = TRY(table.boolean("enabled"))) bastion.enabled = enabled->value;
  if (const auto files = TRY(table.texts("host_ca"))) TRY(apply_host_ca(bastion.host_ca, *files, folder));
  TRY(apply_accounts(bastion.admins, table, "admins"));
  return apply_accounts(bastion.auditors, table, "auditors");
}

Result<void> finish_bastion(const Draft& draft) {
  const auto& profile = draft.profile;
  const auto& bastion = profile.bastion;
  if (!bastion.enabled) {
    const bool is_meant = !bastion.at.file.empty();  // "enabled = false" is somebody's word
    if (is_meant || !profile.ssh.enabled || !profile.site || profile.site->bastion != profile.role) return {};
    return wrong(draft.ssh_at.value_or(draft.end),
                 fmt::format("{} is the site's bastion, and nothing records the sessions through it", profile.role),
                 "add a [bastion] table");
  }
  if (!profile.site)
    return wrong(bastion.at, "[bastion] needs a site, which says where sessions may go", "add site = \"site.toml\"");
  if (profile.site->bastion != profile.role)
    return wrong(bastion.at,
                 fmt::format("[bastion] is in a profile of role {}, and the site's bastion is {}", profile.role,
                             profile.site->bastion.empty() ? "nobody" : profile.site->bastion),
                 fmt::format("write bastion = \"{}\" in the site file, or take [bastion] out", profile.role));
  if (!profile.site_role()->ssh)
    return wrong(bastion.at, fmt::format("[bastion] needs SSH, and role {} of the site has ssh = false", profile.role),
                 "take ssh = false out of the site file");
  if (bastion_targets(*profile.site, profile.role).empty())
    return wrong(bastion.at, fmt::format("no flow of the site leads from {} to tcp/22 of another role", profile.role),
                 "add one to the site file: the bastion opens no other session");
  if (!profile.ssh.enabled)
    return wrong(bastion.at, "[bastion] needs an SSH daemon, and this profile has none", "add enabled = true to [ssh]");
  for (const auto* names : {&bastion.admins, &bastion.auditors})
    for (const auto& name : *names)
      if (!profile.users.contains(name))
        return wrong(bastion.at, fmt::format("[bastion] names {}, who is no user of this profile", name),
                     fmt::format("add [users.{}]", name));
  if (!profile.shipping.enabled)
    return wrong(bastion.at, "[bastion] records sessions on a collector, and this profile ships nothing",
                 "add a [shipping] table; on the collector itself also [collector]");
  if (!profile.collector.enabled && profile.site->collector == profile.role)
    return wrong(bastion.at,
                 fmt::format("{} is the site's collector, and this profile takes no records in", profile.role),
                 "add a [collector] table");
  return check_packages(draft, bastion.at, "[bastion]", needed_packages);
}

}  // namespace ingot::builder::detail
