#include <fmt/format.h>

#include <algorithm>

#include "layer.hpp"
#include "ssh_key.hpp"

namespace ingot::builder::detail {
namespace {

constexpr std::size_t key_cap = 256;

Result<std::vector<std::string>> read_ca(const LocatedTexts& files, const std::string& folder) {
  std::vector<std::string> keys;
  for (const auto& file : files) {
    const auto content = TRY(read_profile_file(file, "ca", folder));
    const auto text = as_text(content);
    std::size_t found = 0;
    for (auto rest = text; !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.empty() || line.starts_with('#')) continue;
      keys.push_back(TRY(read_public_key({std::string(line), file.at}, fmt::format("ca \"{}\"", file.value))));
      ++found;
    }
    if (found == 0)
      return wrong(file.at, fmt::format("ca \"{}\" has no key in it", file.value), "name the .pub file of the SSH CA");
    if (keys.size() > key_cap) return wrong(file.at, fmt::format("more than {} CA keys", key_cap));
  }
  return keys;
}

bool is_node_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text.front() != '-' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace

Result<void> apply_ssh(Draft& draft, const TableReader& table, const std::string& folder) {
  TRY(table.only({"enabled", "ca", "from", "revoked", "host_certificate", "onward_principal"}));
  auto& ssh = draft.profile.ssh;
  draft.ssh_at = table.at();
  if (const auto enabled = TRY(table.boolean("enabled"))) {
    ssh.enabled = enabled->value;
    draft.ssh_at = enabled->at;
  }
  if (const auto ca = TRY(table.texts("ca"))) ssh.ca = TRY(read_ca(*ca, folder));
  if (const auto from = TRY(table.texts("from"))) {
    ssh.from.clear();
    draft.ssh_from_at = table.at("from");
    for (const auto& prefix : *from) {
      if (!is_prefix(prefix.value))
        return wrong(prefix.at,
                     fmt::format("from has \"{}\", expected a network such as \"10.0.0.0/24\" with no bits "
                                 "behind its prefix",
                                 prefix.value),
                     "one address is \"10.0.0.5/32\"");
      ssh.from.push_back(prefix.value);
    }
  }
  if (const auto revoked = TRY(table.text("revoked")))
    ssh.revoked = TRY(read_profile_file(*revoked, "revoked", folder));
  if (const auto flag = TRY(table.boolean("host_certificate"))) ssh.host_certificate = flag->value;
  if (const auto principal = TRY(table.text("onward_principal"))) {
    if (!is_node_name(principal->value))
      return wrong(principal->at, fmt::format("onward_principal is \"{}\", expected a-z, 0-9 and -", principal->value));
    ssh.onward_principal = principal->value;
  }
  return {};
}

void finish_ssh(Draft& draft) {
  auto& profile = draft.profile;
  if (!profile.ssh.enabled || !profile.site) return;
  // Whom people reach only through the bastion must take its certificates, or nobody gets in.
  const bool is_behind = !profile.site->bastion.empty() && profile.site->bastion != profile.role;
  if (is_behind && profile.ssh.onward_principal.empty()) profile.ssh.onward_principal = "ingot-bastion";
  if (!profile.ssh.from.empty()) return;
  const auto names_role = [&](const SiteFlow& flow) {
    return std::find(flow.to.begin(), flow.to.end(), profile.role) != flow.to.end();
  };
  for (const auto& flow : profile.site->flows) {
    const bool is_ssh = std::any_of(flow.ports.begin(), flow.ports.end(), [](const FlowPort& port) {
      return port.contains({FlowProtocol::tcp, 22, 22});
    });
    if (!is_ssh || !names_role(flow)) continue;
    for (const auto& source : flow.from)
      for (const auto& range : addresses_on(*profile.site, source, flow.plane))
        for (const auto& prefix : prefixes_of(range)) profile.ssh.from.push_back(to_text(prefix));
  }
}

}  // namespace ingot::builder::detail
