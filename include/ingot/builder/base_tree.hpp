// From [base] to a canonical tree.
#pragma once

#include "ingot/builder/progress.hpp"
#include "ingot/builder/tree.hpp"
#include "ingot/model/profile.hpp"

namespace ingot::builder {

struct LockedPackage {
  std::string name;
  std::string version;
  std::string architecture;
  std::string sha256;  ///< of the .deb
  std::uint64_t size_bytes = 0;
  bool operator==(const LockedPackage&) const = default;
};
struct Lock {
  std::string suite;
  std::string request_sha256;           ///< of the package list, suite and components that it answers
  std::vector<LockedPackage> packages;  ///< sorted by name
  bool operator==(const Lock&) const = default;
};
Result<Lock> parse_lock(const std::string& file_name, std::string_view text);
std::string render_lock(const Lock& lock);

struct BaseOptions {
  std::string cache;     ///< folder of cached packages and trees; made when missing
  std::string mirror;    ///< --mirror: wins over the profile and apt's configuration
  bool offline = false;  ///< nothing but the cache; an error lists what is missing
  bool update_lock = false;
  std::string lock_path;  ///< written on the first build, obeyed after
};

struct BaseTree {
  Tree tree;                            ///< canonical and stripped, every regular file hashed
  std::string digest;                   ///< tree_digest
  std::vector<LockedPackage> packages;  ///< empty for imported bases
};
Result<BaseTree> make_base_tree(const Profile& profile, const BaseOptions& options, Progress& progress);

/// Paths that a golden image must not carry (SSH host keys, machine-id, seeds, logs, caches, apt lists): one table.
/// Removes or empties them.
void strip_tree(Tree& tree);
/// Takes root's password, and the empty password of any account, out of /etc/shadow: keys remain the only way in.
Result<void> lock_accounts(Tree& tree);

/// Indexes an uncompressed tar (any format libarchive reads, PAX xattrs included) without unpacking it.
Result<Tree> index_tar(const std::string& tar_path, Progress& progress);
Result<Tree> import_tar(const std::string& path, const std::string& cache, Progress& progress);
Result<Tree> import_oci(const std::string& path, const std::string& cache, Progress& progress);
/// qcow2 or raw, read-only through libguestfs: the root file system that inspection finds.
Result<Tree> import_disk(const std::string& path, const std::string& cache, Progress& progress);

}  // namespace ingot::builder
