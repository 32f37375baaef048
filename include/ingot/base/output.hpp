// Outputs appear whole under their final name, or not at all.
#pragma once

#include <string>
#include <vector>

#include "ingot/base/bytes.hpp"
#include "ingot/base/result.hpp"
#include "ingot/base/source.hpp"

namespace ingot {

/// What a power cut leaves of a file that was committed just before. `synced`: all of it. `cached`: a new file may be
/// short or gone, and whoever asked for it asks again; one that replaces another is synced all the same.
enum class Durability { synced, cached };

/// A file written under a temporary name in the same folder, put onto the disk (Durability) and renamed by commit().
/// Removed when destroyed uncommitted. Never follows the old file: an existing one is replaced in one step.
class OutputFile {
 public:
  /// `mode` is exact, whatever the umask.
  static Result<OutputFile> create(const std::string& path, unsigned mode = 0644);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  Result<void> write(Bytes bytes);
  /// Writes at an offset; gaps stay sparse.
  Result<void> write_at(std::uint64_t offset, Bytes bytes);
  /// Copies a source to `offset`; pages of zeros become holes, so nothing may have been written there before. The file
  /// reaches to the end of the copy at least.
  Result<void> copy_at(std::uint64_t offset, const ByteSource& source);
  /// The same for bytes in memory, but that zeros at the end do not lengthen the file: truncate() does.
  Result<void> copy_at(std::uint64_t offset, Bytes bytes);
  /// Copies [offset, offset + size) of a source to the same place, zeros and all; from a file, the kernel does.
  Result<void> copy_part(const ByteSource& source, std::uint64_t offset, std::uint64_t size);
  Result<void> truncate(std::uint64_t size_bytes);
  Result<void> commit(Durability durability = Durability::synced);
  /// The same for what must not replace anything: error (usage) when the name is taken already.
  Result<void> commit_new();
  [[nodiscard]] const std::string& temporary_path() const { return temporary_; }
  [[nodiscard]] int descriptor() const { return fd_; }

 private:
  OutputFile(int fd, std::string path, std::string temporary);
  Result<void> commit_with(unsigned rename_flags);
  Result<void> rename_to(unsigned rename_flags);
  friend Result<void> commit_all_new(std::vector<OutputFile> files);
  int fd_;
  std::string path_;
  std::string temporary_;
  std::uint64_t at_ = 0;
};

/// commit_new() for many files of one folder, with one sync of the file system instead of one for each. They are on the
/// disk, and so are their names, when this returns; the cache is told to drop them. At an error some may have their
/// names, and those are whole.
Result<void> commit_all_new(std::vector<OutputFile> files);

/// create + write + commit.
Result<void> write_file(const std::string& path, Bytes bytes, unsigned mode = 0644);

}  // namespace ingot
