// The file tree of an image: an index over archives that stay where they are. Nothing is unpacked; content is read
// from its source when a consumer (squashfs, cpio, manifest) asks for it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"
#include "ingot/builder/progress.hpp"

namespace ingot::builder {

enum class EntryType { file, directory, symlink, character_device, block_device, fifo };

struct TreeEntry {
  EntryType type = EntryType::file;
  unsigned mode = 0;  ///< permission bits with set-id and sticky: 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string link_target;  ///< symlinks
  /// Regular files: canonical path of the first name (the smallest by byte value), whose content and metadata it shares
  /// and repeats. Removing or replacing a first name promotes the next one.
  std::string hard_link_to;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::map<std::string, Buffer> xattrs;  ///< "security.capability" and the like
  SharedSource content;                  ///< regular files; null means empty
  std::uint64_t size_bytes = 0;
  std::string sha256;  ///< regular files, hexadecimal; known once the tree has been indexed
};

/// Keys are absolute paths without a trailing slash; the root folder is "/". Sorted by byte value, so a folder
/// always comes before what is in it.
class Tree {
 public:
  std::map<std::string, TreeEntry> entries;

  [[nodiscard]] const TreeEntry* find(const std::string& path) const;
  /// Follows symlinks inside the tree (at most 40); null when it leads nowhere.
  [[nodiscard]] const TreeEntry* resolve(const std::string& path) const;
  /// The canonical path resolve() ends at; empty when it leads nowhere.
  [[nodiscard]] std::string resolve_path(const std::string& path) const;
  /// Adds or replaces a regular file; missing parent folders are made (0755 root). Replacing a folder is an error.
  Result<void> put_file(const std::string& path, Buffer content, unsigned mode = 0644, std::uint32_t uid = 0,
                        std::uint32_t gid = 0);
  Result<void> put_symlink(const std::string& path, const std::string& target);
  Result<void> put_directory(const std::string& path, unsigned mode = 0755);
  /// Removes a path and everything below it; nothing happens when it is not there.
  void remove(const std::string& path);
  /// remove() for many paths at once.
  void remove_all(const std::vector<std::string>& paths);
};

/// The whole content of a regular file of the tree, symlinks followed; errors: missing, limit.
Result<Buffer> read_tree_file(const Tree& tree, const std::string& path, std::uint64_t cap_bytes = 256u << 20);

/// Modification time of everything in an image, seconds since 1970. One constant: 2024-01-01 00:00:00 UTC; the age of
/// files says nothing about a golden image.
inline constexpr std::int64_t image_time = 1704067200;

/// Digest over the canonical form of all entries (path, metadata, content digest): equal trees, equal digests.
std::string tree_digest(const Tree& tree);

}  // namespace ingot::builder
