// A node whose SSH daemon nobody reaches cannot be mended: it is found before it is cast.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingot/model/services.hpp"
#include "layer.hpp"

namespace ingot::builder::detail {
namespace {

/// Whom the role's firewall lets connect to its SSH daemon.
std::vector<IpRange> let_in(const Site& site, const std::string& role) {
  constexpr FlowPort ssh{FlowProtocol::tcp, ssh_port, ssh_port};
  std::vector<IpRange> out;
  for (const auto& flow : site.flows) {
    const bool opens =
        std::any_of(flow.ports.begin(), flow.ports.end(), [&](const auto& port) { return port.contains(ssh); });
    if (!opens || std::find(flow.to.begin(), flow.to.end(), role) == flow.to.end()) continue;
    for (const auto& source : flow.from)
      for (const auto& range : addresses_on(site, source, flow.plane)) out.push_back(range);
  }
  return out;
}

bool meet(const std::vector<std::string>& prefixes, const std::vector<IpRange>& ranges) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& text) {
    const auto prefix = IpRange::parse(text);
    return prefix && std::any_of(ranges.begin(), ranges.end(), [&](const auto& one) { return overlap(one, *prefix); });
  });
}

/// The site's word: its firewall stands before sshd.
Result<void> check_site_lets_in(const Draft& draft) {
  const auto& profile = draft.profile;
  const auto* role = profile.site_role();
  if (role == nullptr) return {};
  if (!role->ssh)
    return wrong(draft.ssh_at.value_or(draft.end),
                 fmt::format("[ssh] is enabled, and the role {} of the site has ssh = false: everybody is locked out",
                             role->name),
                 "take ssh = false out of the site file, or say enabled = false");
  if (!draft.ssh_from_at || meet(profile.ssh.from, let_in(*profile.site, role->name))) return {};
  return wrong(*draft.ssh_from_at,
               fmt::format("sshd takes connections from {}, and the site's flows to tcp/{} of {} come from elsewhere: "
                           "everybody is locked out",
                           fmt::join(profile.ssh.from, ", "), ssh_port, role->name),
               "leave from out: the site's flows say it");
}

}  // namespace

Result<void> check_lock_out(const Draft& draft) {
  const auto& profile = draft.profile;
  if (!profile.ssh.enabled) return {};
  TRY(check_site_lets_in(draft));
  const auto* base = std::get_if<PackageBase>(&profile.base);  // what an imported base has is known when it is unpacked
  if (base == nullptr ||
      std::find(base->packages.begin(), base->packages.end(), "openssh-server") != base->packages.end())
    return {};
  return wrong(draft.ssh_at.value_or(draft.end), "[ssh] needs the package openssh-server",
               "add \"openssh-server\" to packages of [base]");
}

}  // namespace ingot::builder::detail
