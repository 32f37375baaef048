#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <memory>

#include "ingot/base/output.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/tree.hpp"

namespace ingot::builder {
namespace {

using ArchiveHandle = std::unique_ptr<archive, decltype([](archive* handle) { archive_write_free(handle); })>;
using EntryHandle = std::unique_ptr<archive_entry, decltype([](archive_entry* entry) { archive_entry_free(entry); })>;

struct ProbeEntry {
  const char* path;
  unsigned type;
  unsigned mode;
};

Error archive_error_of(archive* handle) {
  const char* text = archive_error_string(handle);
  return Error{ErrorCode::io,
               std::string("writing the probe's initrd: ") + (text != nullptr ? text : "unknown error"),
               {},
               std::nullopt,
               std::nullopt};
}

}  // namespace

Result<void> make_probe_initrd(const SharedSource& agent, const std::string& out_path) {
  constexpr std::array<ProbeEntry, 5> entries = {{{"dev", AE_IFDIR, 0755},
                                                  {"dev/console", AE_IFCHR, 0600},
                                                  {"init", AE_IFREG, 0755},
                                                  {"proc", AE_IFDIR, 0755},
                                                  {"sys", AE_IFDIR, 0755}}};
  auto out = TRY(OutputFile::create(out_path));
  const ArchiveHandle handle(archive_write_new());
  archive_write_set_format_cpio_newc(handle.get());
  archive_write_set_bytes_per_block(handle.get(), 0);
  if (archive_write_open_fd(handle.get(), out.descriptor()) != ARCHIVE_OK) return fail(archive_error_of(handle.get()));
  std::int64_t inode = 0;
  for (const auto& row : entries) {
    const EntryHandle entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), row.path);
    archive_entry_set_filetype(entry.get(), row.type);
    archive_entry_set_perm(entry.get(), static_cast<mode_t>(row.mode));
    archive_entry_set_ino64(entry.get(), ++inode);
    archive_entry_set_nlink(entry.get(), row.type == AE_IFDIR ? 2 : 1);
    archive_entry_set_mtime(entry.get(), image_time, 0);
    if (row.type == AE_IFCHR) archive_entry_set_rdevmajor(entry.get(), 5), archive_entry_set_rdevminor(entry.get(), 1);
    archive_entry_set_size(entry.get(), row.type == AE_IFREG ? static_cast<la_int64_t>(agent->size()) : 0);
    if (archive_write_header(handle.get(), entry.get()) != ARCHIVE_OK) return fail(archive_error_of(handle.get()));
    if (row.type != AE_IFREG) continue;
    TRY(for_each_chunk(*agent, 0, agent->size(), [&](Bytes chunk) -> Result<void> {
      if (archive_write_data(handle.get(), chunk.data(), chunk.size()) != static_cast<la_ssize_t>(chunk.size()))
        return fail(archive_error_of(handle.get()));
      return {};
    }));
  }
  if (archive_write_close(handle.get()) != ARCHIVE_OK) return fail(archive_error_of(handle.get()));
  return out.commit();
}

}  // namespace ingot::builder
