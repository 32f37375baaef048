// The tree's own package database. Debian Policy 5.1, "Syntax of control files"; DEP-5, "Machine-readable
// debian/copyright".
#include <algorithm>
#include <map>
#include <set>

#include "ingot/builder/release.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t copyright_cap_bytes = 1u << 20;

/// Calls `line` with each line, without its line feed.
template <typename Line>
void for_each_line(std::string_view text, Line line) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    line(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> licenses_of(const Tree& tree, const std::string& package) {
  const auto text = read_tree_file(tree, "/usr/share/doc/" + package + "/copyright", copyright_cap_bytes);
  if (!text || !as_text(*text).starts_with("Format:")) return {};
  std::set<std::string> names;
  for_each_line(as_text(*text), [&](std::string_view line) {
    if (!line.starts_with("License:")) return;
    const auto name = trimmed(line.substr(8));
    if (!name.empty()) names.emplace(name);
  });
  return {names.begin(), names.end()};
}

}  // namespace

Result<std::vector<InstalledPackage>> read_packages(const Tree& tree, const std::vector<LockedPackage>& locked) {
  if (tree.find("/var/lib/dpkg/status") == nullptr) return std::vector<InstalledPackage>{};
  std::map<std::pair<std::string, std::string>, std::string> digests;
  for (const auto& package : locked) digests[{package.name, package.version}] = package.sha256;
  const auto text = TRY(read_tree_file(tree, "/var/lib/dpkg/status"));
  std::vector<InstalledPackage> packages;
  InstalledPackage current;
  bool installed = false;
  const auto flush = [&] {
    if (installed && !current.name.empty()) {
      if (current.source.empty()) current.source = current.name;
      current.sha256 = digests[{current.name, current.version}];
      current.licenses = licenses_of(tree, current.name);
      packages.push_back(current);
    }
    current = {};
    installed = false;
  };
  for_each_line(as_text(text), [&](std::string_view line) {
    if (line.empty()) return flush();
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || line.front() == ' ') return;
    const auto field = line.substr(0, colon);
    const auto value = trimmed(line.substr(colon + 1));
    if (field == "Package") current.name = value;
    if (field == "Version") current.version = value;
    if (field == "Architecture") current.architecture = value;
    if (field == "Source") current.source = value.substr(0, value.find(' '));
    if (field == "Maintainer") current.maintainer = value;
    if (field == "Status") installed = value.ends_with(" installed");
  });
  flush();
  std::sort(packages.begin(), packages.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name, a.architecture) < std::tie(b.name, b.architecture);
  });
  return packages;
}

}  // namespace ingot::builder
