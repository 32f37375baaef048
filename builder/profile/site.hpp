// The parts of a site file, in the order in which they are read: each may use what is already in the site.
#pragma once

#include "ingot/model/site.hpp"
#include "reader.hpp"

namespace ingot::builder::detail {

/// [planes.NAME], in site_planes.cpp: names, identities, subnets, what rides on what.
Result<void> read_planes(Site& site, const TableReader& top);
/// [roles.NAME] and [zones.NAME], in site_members.cpp: who is on which plane with which addresses.
Result<void> read_members(Site& site, const TableReader& top);
/// [[flows]] and [[policies]], in site_rules.cpp.
Result<void> read_flows(Site& site, const TableReader& top);
Result<void> read_policies(Site& site, const TableReader& top);
/// What only the whole shows, in site_check.cpp: policies that flows contradict, lock-outs, logs without a way.
Result<void> check_site(const Site& site);

/// Members of a list that have names.
template <typename T>
std::vector<std::string_view> names_of(const std::vector<T>& list) {
  std::vector<std::string_view> names;
  for (const auto& one : list) names.push_back(one.name);
  return names;
}

/// A name of a plane: also one of an interface, so at most 15 characters.
Result<void> check_site_name(const Located<std::string>& name, std::string_view what);
/// A text that must be there and not be empty.
Result<std::string> required_text(const TableReader& table, std::string_view key, std::string_view what);

}  // namespace ingot::builder::detail
