#include <fmt/format.h>

#include "ingot/builder/base_tree.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t shadow_cap_bytes = 16u << 20;

/// shadow(5): the second field. No password hash is "!*", so the account stays usable with keys alone.
std::string locked(std::string_view line) {
  const auto name = line.substr(0, line.find(':'));
  if (name.size() == line.size()) return std::string(line);
  const auto rest = line.substr(name.size() + 1);
  const auto password = rest.substr(0, rest.find(':'));
  const bool is_locked = password.starts_with('*') || password.starts_with('!');
  const bool must_lock = password.empty() || (name == "root" && !is_locked);
  return must_lock ? fmt::format("{}:!*{}", name, rest.substr(password.size())) : std::string(line);
}

}  // namespace

Result<void> lock_accounts(Tree& tree) {
  const auto* entry = tree.find("/etc/shadow");
  if (entry == nullptr) return {};
  const auto old = TRY(read_tree_file(tree, "/etc/shadow", shadow_cap_bytes));
  std::string text;
  for (auto rest = as_text(old); !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    text += locked(line);
    text += '\n';
  }
  if (text == as_text(old)) return {};
  return tree.put_file("/etc/shadow", to_buffer(as_bytes(text)), entry->mode, entry->uid, entry->gid);
}

}  // namespace ingot::builder
