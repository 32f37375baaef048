// A tree as one archive stream, for tools and kernels that take a whole file system in one piece.
#pragma once

#include <functional>

#include "ingot/builder/tree.hpp"

namespace ingot::builder::detail {

using ByteSink = std::function<Result<void>(Bytes)>;

/// POSIX tar (pax where ustar is too small) of everything but the root folder itself: owners, modes, extended
/// attributes (as SCHILY.xattr, POSIX ACLs left out), hard links. Every time is image_time. `progress` gets the bytes
/// of file content; may be null.
Result<void> write_tar(const Tree& tree, const ByteSink& sink, Progress* progress);

/// newc cpio, zstd-compressed in one thread: entries sorted, inode numbers from 1, every time image_time. Names that
/// share content each get their own copy; extended attributes are left out, the format has none.
Result<void> write_cpio_zstd(const Tree& tree, int level, const ByteSink& sink, Progress* progress);

/// squashfs cannot store POSIX ACLs, and nobody writes on a read-only root: they are left behind.
bool is_posix_acl(std::string_view xattr);

/// The content of a regular file; an empty source when it has none.
SharedSource content_of(const TreeEntry& entry);

}  // namespace ingot::builder::detail
