#include "unpack.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "tree_stream.hpp"

namespace ingot::builder::detail {
namespace {

Result<void> check(int result, std::string_view doing, const std::string& path) {
  if (result == 0) return {};
  return fail(io_error(fmt::format("{} {}", doing, path), errno));
}

/// Not an OutputFile: nothing here outlives the build, so nothing has to reach the disk.
Result<void> write_content(const TreeEntry& entry, const std::string& at) {
  const int fd = ::open(at.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail(io_error(fmt::format("creating {}", at), errno));
  const auto content = content_of(entry);
  auto result = for_each_chunk(*content, 0, content->size(), [&](Bytes chunk) -> Result<void> {
    while (!chunk.empty()) {
      const ssize_t put = ::write(fd, chunk.data(), chunk.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return fail(io_error(fmt::format("writing {}", at), errno));
      chunk = chunk.subspan(static_cast<std::size_t>(put));
    }
    return {};
  });
  ::close(fd);
  return result;
}

/// Owner before mode: changing the owner clears set-id bits. Both before the attributes, of which it clears
/// capabilities.
Result<void> set_metadata(const TreeEntry& entry, const std::string& at) {
  TRY(check(::lchown(at.c_str(), entry.uid, entry.gid), "changing the owner of", at));
  if (entry.type != EntryType::symlink) TRY(check(::chmod(at.c_str(), entry.mode), "changing the mode of", at));
  for (const auto& [name, value] : entry.xattrs) {
    if (is_posix_acl(name)) continue;
    TRY(check(::lsetxattr(at.c_str(), name.c_str(), value.data(), value.size(), 0), fmt::format("setting {} of", name),
              at));
  }
  return {};
}

Result<void> make(const TreeEntry& entry, const std::string& at, const std::string& top) {
  const auto device = makedev(entry.device_major, entry.device_minor);
  if (!entry.hard_link_to.empty()) return check(::link((top + entry.hard_link_to).c_str(), at.c_str()), "linking", at);
  switch (entry.type) {
    case EntryType::file:
      TRY(write_content(entry, at));
      break;
    case EntryType::directory:
      TRY(check(::mkdir(at.c_str(), 0700), "making", at));
      break;
    case EntryType::symlink:
      TRY(check(::symlink(entry.link_target.c_str(), at.c_str()), "making", at));
      break;
    case EntryType::character_device:
      TRY(check(::mknod(at.c_str(), S_IFCHR | 0600, device), "making", at));
      break;
    case EntryType::block_device:
      TRY(check(::mknod(at.c_str(), S_IFBLK | 0600, device), "making", at));
      break;
    case EntryType::fifo:
      TRY(check(::mkfifo(at.c_str(), 0600), "making", at));
      break;
  }
  return set_metadata(entry, at);
}

}  // namespace

Result<void> unpack_tree(const Tree& tree, const std::string& to, Progress& progress) {
  if (::geteuid() != 0)
    return fail(ErrorCode::usage,
                "an erofs image is made from a folder whose files have their owners, which takes root",
                "run as root, or set root.filesystem to squashfs");
  std::uint64_t done = 0;
  for (const auto& [path, entry] : tree.entries) {
    TRY(make(entry, path == "/" ? to : to + path, to));
    progress.at(++done, tree.entries.size());
  }
  return {};
}

}  // namespace ingot::builder::detail
