#include "site.hpp"

#include <algorithm>

#include "choice.hpp"
#include "ingot/builder/profile.hpp"

namespace ingot::builder {
namespace {

using detail::TableReader;

/// bastion, collector, time: each names a role.
Result<void> read_service(std::string& into, const Site& site, const TableReader& top, std::string_view key) {
  const auto name = TRY(top.text(key));
  if (!name) return {};
  if (site.role(name->value) == nullptr)
    return detail::wrong(name->at, fmt::format("{} is \"{}\", which is no role of this site", key, name->value),
                         detail::suggestion(name->value, detail::names_of(site.roles)));
  into = name->value;
  return {};
}

}  // namespace

namespace detail {

Result<void> check_site_name(const Located<std::string>& name, std::string_view what) {
  const auto& text = name.value;
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_good = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  constexpr std::size_t longest = 15;  // IFNAMSIZ without its NUL, linux/if.h
  if (!text.empty() && text.size() <= longest && is_letter(text.front()) &&
      std::all_of(text.begin(), text.end(), is_good))
    return {};
  return wrong(name.at, fmt::format("the {} name \"{}\" is not one of up to {} characters of a-z, 0-9 and -, a letter "
                                    "first",
                                    what, text, longest));
}

Result<std::string> required_text(const TableReader& table, std::string_view key, std::string_view what) {
  const auto text = TRY(table.text(key));
  if (!text) return wrong(table.at(), fmt::format("{} has no {}", what, key), fmt::format("add {} = \"...\"", key));
  if (text->value.empty()) return wrong(text->at, fmt::format("{} of {} is empty", key, what));
  return text->value;
}

}  // namespace detail

Result<Site> load_site(const std::string& path) {
  const auto table = TRY(detail::parse_toml(path));
  const TableReader top(table, path, "");
  TRY(top.only({"bastion", "collector", "time", "planes", "roles", "zones", "flows", "policies"}));
  Site site;
  site.path = path;
  TRY(detail::read_planes(site, top));
  TRY(detail::read_members(site, top));
  TRY(read_service(site.bastion, site, top, "bastion"));
  TRY(read_service(site.collector, site, top, "collector"));
  TRY(read_service(site.time, site, top, "time"));
  TRY(detail::read_flows(site, top));
  TRY(detail::read_policies(site, top));
  TRY(detail::check_site(site));
  return site;
}

}  // namespace ingot::builder
