#include "archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "ingot/crypto/hash.hpp"

namespace ingot::builder::detail {
namespace {

Result<EntryType> entry_type(archive_entry* entry) {
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::file;
    case AE_IFDIR:
      return EntryType::directory;
    case AE_IFLNK:
      return EntryType::symlink;
    case AE_IFCHR:
      return EntryType::character_device;
    case AE_IFBLK:
      return EntryType::block_device;
    case AE_IFIFO:
      return EntryType::fifo;
    default:
      return fail(ErrorCode::unsupported, fmt::format("entry type {:o}", archive_entry_filetype(entry)));
  }
}

Result<std::uint32_t> narrow(std::int64_t value, std::string_view what) {
  if (value < 0 || value > UINT32_MAX)
    return fail(ErrorCode::malformed, fmt::format("{} {} is out of range", what, value));
  return static_cast<std::uint32_t>(value);
}

/// POSIX ACLs travel outside the extended attributes and are left behind: squashfs and erofs on a read-only root have
/// no use for them, and nothing that Debian packages ship has any.
Result<void> take_xattrs(TreeEntry& into, archive_entry* entry) {
  (void)archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || *name == '\0') return fail(ErrorCode::malformed, "an extended attribute without a name");
    if (size > xattr_bytes_cap)
      return fail(ErrorCode::limit, fmt::format("the extended attribute {} has {} bytes", name, size));
    const auto* bytes = static_cast<const std::uint8_t*>(value);
    into.xattrs[name] = Buffer(bytes, bytes + size);
  }
  return {};
}

}  // namespace

Error archive_failure(archive* handle, std::string_view what) {
  const char* text = archive_error_string(handle);
  const bool no_room = archive_errno(handle) == ENOSPC;
  return Error{no_room ? ErrorCode::io : ErrorCode::malformed,
               fmt::format("{}: {}", what, text != nullptr ? text : "the archive cannot be read"),
               no_room ? "free some space there or choose another folder" : "", std::nullopt, std::nullopt};
}

Result<std::string> canonical_path(std::string_view name) {
  if (name.size() > path_bytes_cap) return fail(ErrorCode::limit, fmt::format("a path of {} bytes", name.size()));
  std::string out;
  while (!name.empty()) {
    const auto part = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(name.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(ErrorCode::malformed, "a path that leaves the archive through \"..\"");
    out += '/';
    out += part;
  }
  return out.empty() ? "/" : out;
}

std::optional<std::string> raw_path(archive_entry* entry) {
  // The locale is not ours to set: libarchive may know a PAX name only as UTF-8.
  if (const char* path = archive_entry_pathname_utf8(entry)) return path;
  if (const char* path = archive_entry_pathname(entry)) return path;
  return std::nullopt;
}

Result<TreeEntry> entry_from(archive_entry* entry) {
  TreeEntry out;
  const char* link = archive_entry_hardlink_utf8(entry);
  if (link == nullptr) link = archive_entry_hardlink(entry);
  if (link != nullptr) {
    out.hard_link_to = TRY(canonical_path(link));
    return out;
  }
  out.type = TRY(entry_type(entry));
  out.mode = static_cast<unsigned>(archive_entry_perm(entry)) & 07777;
  out.uid = TRY(narrow(archive_entry_uid(entry), "owner"));
  out.gid = TRY(narrow(archive_entry_gid(entry), "group"));
  if (out.type == EntryType::symlink) {
    out.mode = 0777;
    const char* target = archive_entry_symlink_utf8(entry);
    if (target == nullptr) target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return fail(ErrorCode::malformed, "a symbolic link without a target");
    out.link_target = target;
  }
  if (out.type == EntryType::character_device || out.type == EntryType::block_device) {
    out.device_major = TRY(narrow(static_cast<std::int64_t>(archive_entry_rdevmajor(entry)), "device number"));
    out.device_minor = TRY(narrow(static_cast<std::int64_t>(archive_entry_rdevminor(entry)), "device number"));
  }
  if (out.type == EntryType::file) {
    if (archive_entry_size(entry) < 0) return fail(ErrorCode::malformed, "a negative size");
    out.size_bytes = static_cast<std::uint64_t>(archive_entry_size(entry));
  }
  TRY(take_xattrs(out, entry));
  return out;
}

Result<std::string> place_in(Tree& tree, const std::string& path) {
  if (path == "/") return path;
  const auto slash = path.rfind('/');
  const auto parent = slash == 0 ? std::string("/") : path.substr(0, slash);
  const auto name = path.substr(slash);
  const auto under = [&](const std::string& folder) { return folder == "/" ? name : folder + name; };
  const auto* known = tree.find(parent);
  if (known != nullptr && known->type == EntryType::directory) return under(parent);
  if (known == nullptr && parent != "/") {
    const auto made = TRY(place_in(tree, parent));
    const auto* there = tree.find(made);
    if (there == nullptr) {
      TRY(tree.put_directory(made));
      return under(made);
    }
    if (there->type == EntryType::directory) return under(made);
  }
  if (known == nullptr && parent == "/") {
    TRY(tree.put_directory("/"));
    return path;
  }
  const auto target = tree.resolve_path(parent);
  const auto* folder = target.empty() ? nullptr : tree.find(target);
  if (folder == nullptr || folder->type != EntryType::directory)
    return fail(ErrorCode::malformed, fmt::format("{} lies below {}, which is no folder", path, parent));
  return under(target);
}

Result<void> place(Tree& tree, const std::string& path, TreeEntry entry) {
  const auto old = tree.entries.find(path);
  if (old != tree.entries.end()) {
    const bool both_folders = old->second.type == EntryType::directory && entry.type == EntryType::directory;
    if (both_folders) {
      old->second = std::move(entry);
      return {};
    }
    tree.remove(path);
  }
  if (path == "/" && entry.type != EntryType::directory) return fail(ErrorCode::malformed, "the root is not a folder");
  if (tree.entries.size() >= entry_count_cap)
    return fail(ErrorCode::limit, fmt::format("more than {} entries", entry_count_cap));
  if (!entry.hard_link_to.empty()) {
    const auto first = TRY(place_in(tree, entry.hard_link_to));
    const auto* target = tree.find(first);
    if (target == nullptr || target->type == EntryType::directory)
      return fail(ErrorCode::malformed, fmt::format("{} is a hard link to {}, which is not there", path, first));
    TreeEntry copy = *target;
    if (copy.hard_link_to.empty() && copy.type == EntryType::file) copy.hard_link_to = first;
    entry = std::move(copy);
  }
  tree.entries.insert_or_assign(path, std::move(entry));
  return {};
}

void normalise_hard_links(Tree& tree) {
  std::map<std::string, std::string> smallest;  // old first name -> new one
  for (const auto& [path, entry] : tree.entries) {
    if (entry.hard_link_to.empty()) continue;
    const auto place = smallest.emplace(entry.hard_link_to, std::min(entry.hard_link_to, path)).first;
    place->second = std::min(place->second, path);
  }
  for (auto& [path, entry] : tree.entries) {
    const auto group = smallest.find(entry.hard_link_to.empty() ? path : entry.hard_link_to);
    if (group == smallest.end()) continue;
    entry.hard_link_to = group->second == path ? std::string() : group->second;
  }
}

Result<void> hash_files(Tree& tree, Progress& progress) {
  std::vector<TreeEntry*> todo;
  std::uint64_t total = 0;
  for (auto& [path, entry] : tree.entries) {
    if (entry.type != EntryType::file || !entry.sha256.empty() || !entry.hard_link_to.empty()) continue;
    todo.push_back(&entry);
    total += entry.size_bytes;
  }
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> done = 0;
  std::mutex guard;
  Result<void> result;
  const auto work = [&](Progress* tell) {
    for (std::size_t i = next++; i < todo.size(); i = next++) {
      auto& entry = *todo[i];
      const auto digest = entry.content == nullptr ? Result<Buffer>(crypto::sha256({}))
                                                   : crypto::hash_source(HashAlg::sha256, *entry.content);
      if (!digest) {
        const std::lock_guard lock(guard);
        if (result) result = fail(digest.error());
        next = todo.size();
        return;
      }
      entry.sha256 = to_hex(*digest);
      done += entry.size_bytes;
      if (tell != nullptr) tell->at(done, total);
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::max(1U, std::thread::hardware_concurrency()); ++i) helpers.emplace_back(work, nullptr);
  work(&progress);
  for (auto& helper : helpers) helper.join();
  TRY(std::move(result));
  for (auto& [path, entry] : tree.entries) {
    if (entry.hard_link_to.empty() || entry.type != EntryType::file) continue;
    const auto* first = tree.find(entry.hard_link_to);
    if (first == nullptr) return fail(ErrorCode::internal, fmt::format("{}: its first name is gone", path));
    entry.sha256 = first->sha256;
  }
  return {};
}

Result<SharedSource> TarContent::make(SharedTar tar, std::vector<Segment> segments, std::uint64_t size_bytes) {
  std::uint64_t end = 0;
  for (const auto& segment : segments) {
    const bool in_file = segment.at_bytes >= end && segment.at_bytes <= size_bytes &&
                         segment.size_bytes <= size_bytes - segment.at_bytes;
    const bool in_tar =
        segment.stored_bytes <= tar->bytes->size() && segment.size_bytes <= tar->bytes->size() - segment.stored_bytes;
    if (!in_file) return fail(ErrorCode::malformed, "a sparse map that leaves the file");
    if (!in_tar) return fail(ErrorCode::malformed, "truncated: the archive ends within a file");
    end = segment.at_bytes + segment.size_bytes;
  }
  return SharedSource(new TarContent(std::move(tar), std::move(segments), size_bytes));
}

Result<void> TarContent::read(std::uint64_t offset, MutableBytes into) const {
  if (offset > size_bytes_ || into.size() > size_bytes_ - offset)
    return fail(ErrorCode::malformed,
                fmt::format("{} bytes wanted at {} of a file of {}", into.size(), offset, size_bytes_));
  const auto end = offset + into.size();
  auto filled = offset;
  const auto zero_to = [&](std::uint64_t until) {
    if (until > filled)
      std::fill_n(into.begin() + static_cast<std::ptrdiff_t>(filled - offset), until - filled, std::uint8_t{0});
    filled = std::max(filled, until);
  };
  const auto after = [](std::uint64_t at, const Segment& segment) {
    return at < segment.at_bytes + segment.size_bytes;
  };
  for (auto segment = std::upper_bound(segments_.begin(), segments_.end(), offset, after);
       segment != segments_.end() && segment->at_bytes < end; ++segment) {
    const auto from = std::max(offset, segment->at_bytes);
    const auto to = std::min(end, segment->at_bytes + segment->size_bytes);
    zero_to(from);
    TRY(tar_->bytes->read(segment->stored_bytes + (from - segment->at_bytes), into.subspan(from - offset, to - from)));
    filled = to;
  }
  zero_to(end);
  return {};
}

Result<void> attach_content(TreeEntry& into, archive* handle, archive_entry* entry, const SharedTar& tar) {
  if (into.type != EntryType::file || !into.hard_link_to.empty() || into.size_bytes == 0) return {};
  // After a header libarchive has consumed exactly what precedes the data, the sparse maps of PAX 1.0 included.
  auto stored = static_cast<std::uint64_t>(archive_filter_bytes(handle, 0));
  std::vector<TarContent::Segment> segments;
  if (archive_entry_sparse_reset(entry) == 0) segments.push_back({0, into.size_bytes, stored});
  std::int64_t at = 0;
  std::int64_t size = 0;
  while (archive_entry_sparse_next(entry, &at, &size) == ARCHIVE_OK) {
    if (at < 0 || size < 0) return fail(ErrorCode::malformed, "a sparse map with a negative number");
    if (size == 0) continue;
    segments.push_back({static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(size), stored});
    stored += static_cast<std::uint64_t>(size);
  }
  into.content = TRY(TarContent::make(tar, std::move(segments), into.size_bytes));
  return {};
}

}  // namespace ingot::builder::detail
