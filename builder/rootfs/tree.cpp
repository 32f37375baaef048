#include "ingot/builder/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {
namespace {

constexpr unsigned mode_bits = 07777;
constexpr int symlink_limit = 40;  // as Linux: MAXSYMLINKS

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string below(const std::string& folder, std::string_view name) {
  return fmt::format("{}/{}", folder == "/" ? "" : folder, name);
}

/// Absolute, no empty, "." or ".." component, no trailing slash.
Result<void> check_path(const std::string& path) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::malformed, fmt::format("the path \"{}\" {}", path, why));
  };
  if (path.empty() || path.front() != '/') return bad("is not absolute");
  if (path.find('\0') != std::string::npos) return bad("has a NUL byte");
  if (path == "/") return {};
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto name = rest.substr(0, rest.find('/'));
    if (name.empty() || name == "." || name == "..") return bad("is not in canonical form");
    rest.remove_prefix(name.size());
  }
  return {};
}

/// Walks a path component by component. Empty when it leaves what is there; ".." of the root is the root, as for
/// chroot.
std::string walk(const Tree& tree, const std::string& path) {
  std::vector<std::string> todo;  // components still to walk, last first
  const auto push = [&](std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
      const auto part = text.substr(0, text.find('/'));
      text.remove_prefix(std::min(text.size(), part.size() + 1));
      if (!part.empty() && part != ".") parts.emplace_back(part);
    }
    todo.insert(todo.end(), parts.rbegin(), parts.rend());
  };
  push(path);
  std::string at = "/";
  for (int links = 0; !todo.empty();) {
    const auto name = std::move(todo.back());
    todo.pop_back();
    if (name == "..") {
      at = parent_of(at);
      continue;
    }
    const auto next = below(at, name);
    const auto* entry = tree.find(next);
    if (entry == nullptr) return {};
    if (entry->type != EntryType::symlink) {
      if (!todo.empty() && entry->type != EntryType::directory) return {};
      at = next;
      continue;
    }
    if (++links > symlink_limit) return {};
    push(entry->link_target);
    if (entry->link_target.starts_with('/')) at = "/";
  }
  return at;
}

/// Names that shared content with removed first names get a new first name: the smallest of them.
void promote_hard_links(Tree& tree, const std::set<std::string>& removed) {
  std::map<std::string, std::string> new_first;
  for (auto& [path, entry] : tree.entries) {
    if (entry.hard_link_to.empty() || !removed.contains(entry.hard_link_to)) continue;
    const auto [place, is_new] = new_first.emplace(entry.hard_link_to, path);
    entry.hard_link_to = is_new ? std::string() : place->second;
  }
}

Result<void> make_parents(Tree& tree, const std::string& path) {
  if (path == "/") return {};
  const auto parent = parent_of(path);
  const auto found = tree.entries.find(parent);
  if (found != tree.entries.end()) {
    if (found->second.type == EntryType::directory) return {};
    return fail(ErrorCode::malformed, fmt::format("{} cannot be made: {} is not a folder", path, parent),
                "use the path without symbolic links");
  }
  TRY(make_parents(tree, parent));
  TreeEntry folder;
  folder.type = EntryType::directory;
  folder.mode = 0755;
  tree.entries.emplace(parent, std::move(folder));
  return {};
}

/// Puts an entry where something else than a folder may be.
Result<void> put(Tree& tree, const std::string& path, TreeEntry entry) {
  TRY(check_path(path));
  const auto* old = tree.find(path);
  if (path == "/" || (old != nullptr && old->type == EntryType::directory))
    return fail(ErrorCode::malformed, fmt::format("{} is a folder and cannot be replaced", path));
  TRY(make_parents(tree, path));
  tree.entries.insert_or_assign(path, std::move(entry));
  promote_hard_links(tree, {path});
  return {};
}

void write_text(Writer& out, std::string_view text) { out.u32le(static_cast<std::uint32_t>(text.size())).text(text); }

}  // namespace

const TreeEntry* Tree::find(const std::string& path) const {
  const auto found = entries.find(path);
  return found == entries.end() ? nullptr : &found->second;
}

std::string Tree::resolve_path(const std::string& path) const { return walk(*this, path); }

const TreeEntry* Tree::resolve(const std::string& path) const {
  const auto end = walk(*this, path);
  return end.empty() ? nullptr : find(end);
}

Result<void> Tree::put_file(const std::string& path, Buffer content, unsigned mode, std::uint32_t uid,
                            std::uint32_t gid) {
  TreeEntry entry;
  entry.mode = mode & mode_bits;
  entry.uid = uid;
  entry.gid = gid;
  entry.size_bytes = content.size();
  entry.sha256 = crypto::sha256_hex(content);
  if (!content.empty()) entry.content = memory_source(std::move(content));
  return put(*this, path, std::move(entry));
}

Result<void> Tree::put_symlink(const std::string& path, const std::string& target) {
  if (target.empty() || target.find('\0') != std::string::npos)
    return fail(ErrorCode::malformed, fmt::format("{}: a symbolic link needs a target", path));
  TreeEntry entry;
  entry.type = EntryType::symlink;
  entry.mode = 0777;
  entry.link_target = target;
  return put(*this, path, std::move(entry));
}

Result<void> Tree::put_directory(const std::string& path, unsigned mode) {
  TRY(check_path(path));
  TRY(make_parents(*this, path));
  const auto [entry, is_new] = entries.try_emplace(path);
  if (!is_new && entry->second.type != EntryType::directory)
    return fail(ErrorCode::malformed, fmt::format("{} is there and is not a folder", path));
  entry->second.type = EntryType::directory;
  entry->second.mode = mode & mode_bits;
  return {};
}

void Tree::remove(const std::string& path) { remove_all({path}); }

void Tree::remove_all(const std::vector<std::string>& paths) {
  std::set<std::string> removed;
  const auto erase = [&](auto at) {
    if (at->second.type == EntryType::file && at->second.hard_link_to.empty()) removed.insert(at->first);
    return entries.erase(at);
  };
  for (const auto& path : paths) {
    if (const auto at = entries.find(path); at != entries.end()) erase(at);
    // Not simply the entries that follow: "/a-b" sorts between "/a" and "/a/b".
    const auto prefix = path == "/" ? path : path + "/";
    for (auto at = entries.lower_bound(prefix); at != entries.end() && at->first.starts_with(prefix);) at = erase(at);
  }
  if (!removed.empty()) promote_hard_links(*this, removed);
}

Result<Buffer> read_tree_file(const Tree& tree, const std::string& path, std::uint64_t cap_bytes) {
  const auto* entry = tree.resolve(path);
  if (entry == nullptr) return fail(ErrorCode::missing, fmt::format("{} is not in the tree", path));
  if (entry->type != EntryType::file)
    return fail(ErrorCode::missing, fmt::format("{} is not a regular file in the tree", path));
  if (entry->content == nullptr) return Buffer{};
  return TRY_IN(path, read_all(*entry->content, cap_bytes));
}

std::string tree_digest(const Tree& tree) {
  crypto::Hasher hasher(HashAlg::sha256);
  hasher.update(as_bytes("ingot-tree/1\n"));
  for (const auto& [path, entry] : tree.entries) {
    Writer out;
    write_text(out, path);
    out.u8(static_cast<std::uint8_t>(entry.type)).u32le(entry.mode).u32le(entry.uid).u32le(entry.gid);
    write_text(out, entry.link_target);
    write_text(out, entry.hard_link_to);
    out.u32le(entry.device_major).u32le(entry.device_minor).u64le(entry.size_bytes);
    write_text(out, entry.sha256);
    out.u32le(static_cast<std::uint32_t>(entry.xattrs.size()));
    for (const auto& [name, value] : entry.xattrs) {
      write_text(out, name);
      write_text(out, as_text(value));
    }
    hasher.update(out.view());
  }
  return to_hex(hasher.finish());
}

}  // namespace ingot::builder
