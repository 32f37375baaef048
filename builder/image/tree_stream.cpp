#include "tree_stream.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

namespace ingot::builder::detail {
namespace {

struct ArchiveWriteFree {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct EntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

enum class StreamFormat { tar, cpio };

mode_t file_type(EntryType type) {
  switch (type) {
    case EntryType::file:
      return S_IFREG;
    case EntryType::directory:
      return S_IFDIR;
    case EntryType::symlink:
      return S_IFLNK;
    case EntryType::character_device:
      return S_IFCHR;
    case EntryType::block_device:
      return S_IFBLK;
    case EntryType::fifo:
      return S_IFIFO;
  }
  return 0;
}

/// One archive being written. A sink's error passes through libarchive as "it failed" and is kept here.
class Stream {
 public:
  Stream(StreamFormat format, const ByteSink& sink, Progress* progress)
      : format_(format), sink_(sink), progress_(progress), handle_(archive_write_new()), entry_(archive_entry_new()) {}

  Result<void> open(int zstd_level) {
    auto* handle = handle_.get();
    if (handle == nullptr || entry_ == nullptr) return fail(ErrorCode::internal, "no memory for an archive");
    bool good = true;
    if (format_ == StreamFormat::tar) {
      // "binary": names are bytes to us, never text to be converted from some locale's encoding.
      good = archive_write_set_format_pax_restricted(handle) == ARCHIVE_OK &&
             archive_write_set_options(handle, "hdrcharset=BINARY,xattrheader=SCHILY") == ARCHIVE_OK;
    } else {
      good = archive_write_set_format_cpio_newc(handle) == ARCHIVE_OK &&
             archive_write_add_filter_zstd(handle) == ARCHIVE_OK &&
             archive_write_set_filter_option(handle, "zstd", "compression-level", std::to_string(zstd_level).c_str()) ==
                 ARCHIVE_OK;
    }
    good = good && archive_write_set_bytes_per_block(handle, 256 << 10) == ARCHIVE_OK &&
           archive_write_set_bytes_in_last_block(handle, 1) == ARCHIVE_OK &&
           archive_write_open(handle, this, nullptr, &Stream::receive, nullptr) == ARCHIVE_OK;
    if (!good) return fail(failure("preparing an archive"));
    return {};
  }

  Result<void> add(const std::string& path, const TreeEntry& from, std::uint64_t total_bytes) {
    auto* entry = archive_entry_clear(entry_.get());
    archive_entry_set_pathname(entry, path.c_str() + 1);
    archive_entry_set_mode(entry, file_type(from.type) | static_cast<mode_t>(from.mode));
    archive_entry_set_uid(entry, from.uid);
    archive_entry_set_gid(entry, from.gid);
    archive_entry_set_mtime(entry, image_time, 0);
    archive_entry_set_nlink(entry, from.type == EntryType::directory ? 2 : 1);
    archive_entry_set_ino64(entry, ++last_inode_);
    archive_entry_set_size(entry, 0);
    if (from.type == EntryType::symlink) archive_entry_set_symlink(entry, from.link_target.c_str());
    archive_entry_set_rdevmajor(entry, from.device_major);
    archive_entry_set_rdevminor(entry, from.device_minor);
    const bool is_link = format_ == StreamFormat::tar && !from.hard_link_to.empty();
    const bool has_content = from.type == EntryType::file && !is_link;
    const auto content = has_content ? content_of(from) : nullptr;
    if (has_content) archive_entry_set_size(entry, static_cast<la_int64_t>(content->size()));
    if (is_link) archive_entry_set_hardlink(entry, from.hard_link_to.c_str() + 1);
    if (format_ == StreamFormat::tar && !is_link)
      for (const auto& [name, value] : from.xattrs) {
        if (is_posix_acl(name)) continue;
        archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
      }
    if (archive_write_header(handle_.get(), entry) != ARCHIVE_OK) return fail(failure(path));
    if (!has_content) return {};
    return for_each_chunk(*content, 0, content->size(), [&](Bytes chunk) -> Result<void> {
      const auto put = archive_write_data(handle_.get(), chunk.data(), chunk.size());
      if (put < 0 || static_cast<std::size_t>(put) != chunk.size()) return fail(failure(path));
      done_bytes_ += chunk.size();
      if (progress_ != nullptr) progress_->at(done_bytes_, total_bytes);
      return {};
    });
  }

  Result<void> close() {
    if (archive_write_close(handle_.get()) != ARCHIVE_OK) return fail(failure("finishing an archive"));
    return {};
  }

 private:
  static la_ssize_t receive(archive* handle, void* self, const void* data, std::size_t size) {
    auto& stream = *static_cast<Stream*>(self);
    // After an error libarchive still flushes what it holds; nothing of that may follow the gap.
    if (stream.result_) stream.result_ = stream.sink_(Bytes(static_cast<const std::uint8_t*>(data), size));
    if (stream.result_) return static_cast<la_ssize_t>(size);
    archive_set_error(handle, EIO, "the receiver failed");
    return -1;
  }

  Error failure(std::string_view what) {
    if (!result_) return result_.error();
    const char* text = archive_error_string(handle_.get());
    return Error{ErrorCode::unsupported,
                 fmt::format("{}: {}", what, text != nullptr ? text : "the archive cannot be written"),
                 {},
                 std::nullopt,
                 std::nullopt};
  }

  StreamFormat format_;
  const ByteSink& sink_;
  Progress* progress_;
  std::unique_ptr<archive, ArchiveWriteFree> handle_;
  std::unique_ptr<archive_entry, EntryFree> entry_;
  std::int64_t last_inode_ = 0;
  std::uint64_t done_bytes_ = 0;
  Result<void> result_;
};

Result<void> write_tree(const Tree& tree, StreamFormat format, int zstd_level, const ByteSink& sink,
                        Progress* progress) {
  std::uint64_t total_bytes = 0;
  for (const auto& [path, entry] : tree.entries)
    if (entry.type == EntryType::file && (format == StreamFormat::cpio || entry.hard_link_to.empty()))
      total_bytes += entry.size_bytes;
  Stream stream(format, sink, progress);
  TRY(stream.open(zstd_level));
  for (const auto& [path, entry] : tree.entries)
    if (path != "/") TRY(stream.add(path, entry, total_bytes));
  return stream.close();
}

}  // namespace

bool is_posix_acl(std::string_view xattr) { return xattr.starts_with("system.posix_acl_"); }

SharedSource content_of(const TreeEntry& entry) { return entry.content != nullptr ? entry.content : memory_source({}); }

Result<void> write_tar(const Tree& tree, const ByteSink& sink, Progress* progress) {
  return write_tree(tree, StreamFormat::tar, 0, sink, progress);
}

Result<void> write_cpio_zstd(const Tree& tree, int level, const ByteSink& sink, Progress* progress) {
  return write_tree(tree, StreamFormat::cpio, level, sink, progress);
}

}  // namespace ingot::builder::detail
