// A profile's part in the site: site, role, [network] and [proxy].
#pragma once

#include <map>

#include "ingot/model/profile.hpp"
#include "reader.hpp"

namespace ingot::builder::detail {

/// What the layers say, before the site is read.
struct NetworkDraft {
  std::optional<Located<std::string>> site;  ///< path, relative to where we are
  TextLocation role_at;
  std::map<std::string, Located<NetworkLink>> links;  ///< by name
  Located<Proxy> proxy;
  bool has_proxy = false;
  TextLocation upstream_at, plane_at;
};

/// Applies one file's keys. `folder` is where the file lies.
Result<void> apply_network(NetworkDraft& draft, const TableReader& top, const std::string& folder);
/// [proxy], in proxy.cpp.
Result<void> apply_proxy(NetworkDraft& draft, const TableReader& table);

/// Reads the site and fits the profile into it: the role is there, its links are described, the proxy has a way in and
/// the model server none beside it.
Result<void> finish_network(const NetworkDraft& draft, Profile& profile);
/// The proxy's part, in proxy.cpp.
Result<void> check_proxy(const NetworkDraft& draft, const Site& site, const SiteRole& role);

}  // namespace ingot::builder::detail
