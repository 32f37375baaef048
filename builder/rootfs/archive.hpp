// What all importers share of libarchive: handles, errors, and entries as TreeEntry.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ingot/builder/tree.hpp"

namespace ingot::builder::detail {

struct ArchiveReadFree {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
using ArchiveReader = std::unique_ptr<archive, ArchiveReadFree>;

/// Bounds of what an archive may claim, so that a hostile one cannot exhaust memory.
inline constexpr std::size_t entry_count_cap = 4'000'000;
inline constexpr std::size_t xattr_bytes_cap = 64u << 10;  // as Linux: XATTR_SIZE_MAX
inline constexpr std::size_t path_bytes_cap = 4096;        // as Linux: PATH_MAX

/// The message of the last failure of `handle`.
Error archive_failure(archive* handle, std::string_view what);

/// "./usr/bin/", "/usr//bin" and "usr/bin" as "/usr/bin"; the root as "/". ".." is refused.
Result<std::string> canonical_path(std::string_view name);

/// The name of an entry, or the target of a link, as raw bytes; nothing when there is none.
std::optional<std::string> raw_path(archive_entry* entry);

/// Everything of an entry but its name and content. `hard_link_to` is canonical, size is that of the content.
Result<TreeEntry> entry_from(archive_entry* entry);

/// Where `name` lands when symlinks among its folders are followed, as tar, dpkg and container runtimes do. Missing
/// folders are made (0755 root); a folder that is a file is an error.
Result<std::string> place_in(Tree& tree, const std::string& path);

/// Puts `entry` at `path`. An existing folder's metadata is updated and its content kept; otherwise what was there
/// goes.
Result<void> place(Tree& tree, const std::string& path, TreeEntry entry);

/// Gives every set of hard links the same first name whatever order it was read in: the smallest.
void normalise_hard_links(Tree& tree);

/// SHA-256 of every regular file that has none yet, on all cores.
Result<void> hash_files(Tree& tree, Progress& progress);

/// An uncompressed tar that trees have their contents in.
struct TarFile {
  std::string path;
  SharedSource bytes;
};
using SharedTar = std::shared_ptr<const TarFile>;

/// The content of a file inside an uncompressed tar, which stays where it is: one window of the tar, or several with
/// zeros between them when the file is sparse.
class TarContent final : public ByteSource {
 public:
  struct Segment {
    std::uint64_t at_bytes = 0;  ///< in the file
    std::uint64_t size_bytes = 0;
    std::uint64_t stored_bytes = 0;  ///< where in the tar
  };
  /// Segments lie inside file and tar, in order and apart from each other.
  static Result<SharedSource> make(SharedTar tar, std::vector<Segment> segments, std::uint64_t size_bytes);
  [[nodiscard]] std::uint64_t size() const override { return size_bytes_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override;
  [[nodiscard]] const TarFile& tar() const { return *tar_; }
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }

 private:
  TarContent(SharedTar tar, std::vector<Segment> segments, std::uint64_t size_bytes)
      : tar_(std::move(tar)), segments_(std::move(segments)), size_bytes_(size_bytes) {}
  SharedTar tar_;
  std::vector<Segment> segments_;
  std::uint64_t size_bytes_;
};

/// Finds where the current entry's data lies in `tar`, which `handle` reads.
Result<void> attach_content(TreeEntry& into, archive* handle, archive_entry* entry, const SharedTar& tar);

/// Decides whether an entry is taken (true), and may look at or change the tree.
using EntryFilter = std::function<Result<bool>(const std::string& path, const TreeEntry& entry)>;
/// Puts the entries of an uncompressed tar over what is in the tree; later ones replace earlier ones. Nothing is hashed
/// yet.
Result<void> add_tar(Tree& tree, const std::string& tar_path, const EntryFilter& filter);
/// Root folder, hard links and digests: what a tree needs to be canonical once all entries are in.
Result<void> complete_tree(Tree& tree, Progress& progress);

}  // namespace ingot::builder::detail
