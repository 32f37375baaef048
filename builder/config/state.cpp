#include <fmt/format.h>

#include "ingot/builder/config.hpp"

namespace ingot::builder {
namespace {

constexpr std::string_view state_prefix = "/var/";
constexpr std::string_view package_database = "/var/lib/dpkg";
constexpr std::string_view package_database_home = "/usr/lib/sysimage/dpkg";
constexpr std::string_view factory = "/usr/share/factory";
/// Last by name: what a package says of its own folders comes first.
constexpr std::string_view rules_path = "/usr/lib/tmpfiles.d/zz-ingot-var.conf";

/// tmpfiles.d(5): '%' starts a specifier, blanks separate fields.
std::string in_quotes(std::string_view path) {
  std::string out = "\"";
  for (const char c : path) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%') out += '%';
    out += c;
  }
  return out + '"';
}

bool is_below(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path.substr(folder.size(), 1) == "/");
}

std::string owner_of(const TreeEntry& entry) { return fmt::format("{:04o} {} {}", entry.mode, entry.uid, entry.gid); }

}  // namespace

Result<void> move_state(Tree& tree) {
  std::string rules;
  std::map<std::string, TreeEntry> moved;
  bool has_packages = false;
  for (auto at = tree.entries.lower_bound(std::string(state_prefix));
       at != tree.entries.end() && at->first.starts_with(state_prefix); ++at) {
    const auto& [path, entry] = *at;
    if (is_below(path, package_database)) {
      if (!has_packages) rules += fmt::format("L {} - - - - {}\n", in_quotes(path), package_database_home);
      has_packages = true;
      moved[std::string(package_database_home) + path.substr(package_database.size())] = entry;
      continue;
    }
    switch (entry.type) {
      case EntryType::directory:
        rules += fmt::format("d {} {}\n", in_quotes(path), owner_of(entry));
        break;
      case EntryType::symlink:
        rules += fmt::format("L {} - - - - {}\n", in_quotes(path), entry.link_target);
        break;
      case EntryType::file: {
        const auto home = std::string(factory) + path;
        rules += fmt::format("C {} {} - {}\n", in_quotes(path), owner_of(entry), home);
        moved[home] = entry;
        break;
      }
      case EntryType::character_device:
      case EntryType::block_device:
      case EntryType::fifo:
        return fail(ErrorCode::unsupported, fmt::format("{} is a device or a pipe: a node starts without it", path),
                    "take it out of the base image");
    }
  }
  for (auto& [path, entry] : moved) {
    if (!entry.hard_link_to.empty())
      return fail(ErrorCode::unsupported, fmt::format("a hard link below /var: {}", entry.hard_link_to),
                  "take it out of the base image");
    TRY(tree.put_directory(path.substr(0, path.rfind('/'))));
    tree.entries[path] = std::move(entry);
  }
  if (rules.empty()) return {};
  std::vector<std::string> below;
  for (auto at = tree.entries.lower_bound(std::string(state_prefix));
       at != tree.entries.end() && at->first.starts_with(state_prefix); ++at)
    below.push_back(at->first);
  tree.remove_all(below);
  return tree.put_file(std::string(rules_path), to_buffer(as_bytes(rules)));
}

}  // namespace ingot::builder
