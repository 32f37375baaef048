// [bastion]: the node that opens everybody's sessions on the others.
#include <fmt/format.h>

#include <algorithm>

#include "ingot/builder/config.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::size_t key_cap = 256;
constexpr std::string_view needed_packages[] = {"openssh-server", "sudo"};
constexpr std::string_view key_kinds[] = {"ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa"};

/// As useradd(8) takes it; the names are in sudoers, where other characters mean something.
bool is_account(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), fits) && text.front() >= '_';
}

Result<void> apply_accounts(std::vector<std::string>& into, const TableReader& table, std::string_view key) {
  const auto names = TRY(table.texts(key));
  if (!names) return {};
  into.clear();
  for (const auto& name : *names) {
    if (!is_account(name.value) || name.value == "root")
      return wrong(name.at, fmt::format("{} has \"{}\", expected the name of a user", key, name.value),
                   "up to 32 of a-z, 0-9, _ and -, and not root");
    into.push_back(name.value);
  }
  return {};
}

/// "TYPE BASE64" of a line of a .pub file; its comment is left out.
Result<std::string> read_key(std::string_view line, const Located<std::string>& file) {
  const auto bad = [&](std::string_view why) {
    return wrong(file.at, fmt::format("host_ca \"{}\" {}", file.value, why),
                 "name the .pub file of the CA that signs host keys (`ssh-keygen -t ed25519`)");
  };
  if (line.find("PRIVATE KEY") != std::string_view::npos) return bad("is a private key: it would be in every image");
  const auto kind = line.substr(0, line.find(' '));
  if (std::find(std::begin(key_kinds), std::end(key_kinds), kind) == std::end(key_kinds))
    return bad("has a line that is no key of kind ed25519 or RSA");
  auto rest = line.substr(std::min(line.size(), kind.size() + 1));
  const auto key = rest.substr(0, rest.find_first_of(" \t\r"));
  constexpr std::string_view base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  if (key.size() < 64 || key.find_first_not_of(base64) != std::string_view::npos) return bad("has a key cut short");
  return fmt::format("{} {}", kind, key);
}

Result<void> apply_host_ca(std::vector<std::string>& keys, const LocatedTexts& files, const std::string& folder) {
  keys.clear();
  for (const auto& file : files) {
    const auto content = TRY(read_source(file, folder));
    const auto before = keys.size();
    for (auto rest = as_text(content); !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (!line.empty() && !line.starts_with('#')) keys.push_back(TRY(read_key(line, file)));
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
  if (!bastion.enabled) return {};
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
  if (!profile.shipping.enabled)
    return wrong(bastion.at, "[bastion] records sessions on a collector, and this profile ships nothing",
                 "add a [shipping] table; on the collector itself also [collector]");
  if (!profile.collector.enabled && profile.site->collector == profile.role)
    return wrong(bastion.at,
                 fmt::format("{} is the site's collector, and this profile takes no records in", profile.role),
                 "add a [collector] table");
  if (const auto* base = std::get_if<PackageBase>(&profile.base))
    for (const auto name : needed_packages)
      if (std::find(base->packages.begin(), base->packages.end(), name) == base->packages.end())
        return wrong(bastion.at, fmt::format("[bastion] needs the package {}", name),
                     fmt::format("add \"{}\" to packages of [base]", name));
  return {};
}

}  // namespace ingot::builder::detail
