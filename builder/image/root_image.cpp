// Root file system images by squashfs-tools and erofs-utils.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "draft.hpp"
#include "ingot/builder/image.hpp"
#include "tree_stream.hpp"
#include "unpack.hpp"

namespace ingot::builder {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t block_bytes = 4096;

Error unsupported(std::string message, std::string remedy) {
  return Error{ErrorCode::unsupported, std::move(message), std::move(remedy), std::nullopt, std::nullopt};
}

/// The kernel's squashfs and erofs store these; what else a tree carries would get lost without a word.
bool is_storable(std::string_view xattr) {
  constexpr std::array<std::string_view, 3> prefixes = {"security.", "trusted.", "user."};
  return detail::is_posix_acl(xattr) || std::any_of(prefixes.begin(), prefixes.end(),
                                                    [&](std::string_view prefix) { return xattr.starts_with(prefix); });
}

Result<void> check_xattrs(const Tree& tree) {
  for (const auto& [path, entry] : tree.entries)
    for (const auto& [name, value] : entry.xattrs)
      if (!is_storable(name))
        return fail(unsupported(
            fmt::format("{} has the extended attribute {}, which a read-only root cannot carry", path, name),
            "remove it from the base image"));
  return {};
}

Result<std::vector<std::string>> squashfs_compression(const Profile::Root& root) {
  const auto level = std::to_string(root.compression_level);
  switch (root.compression) {
    case Compression::zstd:
      return std::vector<std::string>{"-comp", "zstd", "-Xcompression-level", level};
    case Compression::gzip:
      return std::vector<std::string>{"-comp", "gzip", "-Xcompression-level", level};
    case Compression::lz4:
      return std::vector<std::string>{"-comp", "lz4"};
    case Compression::lz4hc:
      return std::vector<std::string>{"-comp", "lz4", "-Xhc"};
    case Compression::xz:
      return std::vector<std::string>{"-comp", "xz"};
  }
  return fail(ErrorCode::internal, "an unknown compression");
}

/// mksquashfs reads the tree as a tar stream: owners, modes, attributes and hard links arrive as they are, nothing is
/// unpacked and no privilege is needed. Its sqfstar twin cannot be told a compression level (squashfs-tools 4.5.1).
Result<void> run_mksquashfs(const Tree& tree, const Profile::Root& root, const std::string& to, Progress& progress) {
  const auto* top = tree.find("/");
  if (top == nullptr) return fail(ErrorCode::malformed, "the tree has no root folder");
  if (!top->xattrs.empty())
    return fail(unsupported("the root folder has extended attributes, which mksquashfs cannot take from a stream",
                            "remove them"));
  const auto time = std::to_string(image_time);
  Command command;
  // The root folder's own entry does not count in a tar: it is described by options. 512 MiB bound its caches.
  command.argv = {"mksquashfs",
                  "-",
                  to,
                  "-tar",
                  "-noappend",
                  "-no-progress",
                  "-quiet",
                  "-exit-on-error",
                  "-no-recovery",
                  "-processors",
                  "2",
                  "-mem",
                  "512M",
                  "-mkfs-time",
                  time,
                  "-all-time",
                  time,
                  "-root-time",
                  time,
                  "-root-mode",
                  fmt::format("{:o}", top->mode),
                  "-root-uid",
                  std::to_string(top->uid),
                  "-root-gid",
                  std::to_string(top->gid)};
  for (auto& word : TRY(squashfs_compression(root))) command.argv.push_back(std::move(word));
  command.standard_input = [&](const auto& write) { return detail::write_tar(tree, write, &progress); };
  (void)TRY(run_checked(command));
  return {};
}

Result<std::string> erofs_compression(const Profile::Root& root) {
  switch (root.compression) {
    case Compression::lz4:
      return "-zlz4";
    case Compression::lz4hc:
      return fmt::format("-zlz4hc,{}", root.compression_level);
    case Compression::zstd:
    case Compression::xz:
    case Compression::gzip:
      break;
  }
  return fail(unsupported("erofs images are compressed with lz4 or lz4hc",
                          "set root.compression to lz4hc, or root.filesystem to squashfs"));
}

/// mkfs.erofs 1.5 knows no archives, so the tree is laid out in a private folder (0700) that is gone afterwards.
Result<void> run_mkfs_erofs(const Tree& tree, const Profile::Root& root, const Guid& uuid, const std::string& to,
                            const std::string& scratch, Progress& progress) {
  const auto compression = TRY(erofs_compression(root));
  const auto folder = TRY(TemporaryFolder::create(scratch, ".erofs-"));
  const auto top = folder.path() + "/root";
  TRY(detail::unpack_tree(tree, top, progress));
  Command command;
  command.argv = {"mkfs.erofs", "--quiet", compression, "-U", to_text(uuid), "-T", std::to_string(image_time), to, top};
  (void)TRY(run_checked(command));
  return {};
}

Result<void> pad_to_block(const std::string& path) {
  std::error_code problem;
  const auto size = fs::file_size(path, problem);
  if (!problem) fs::resize_file(path, (size + block_bytes - 1) / block_bytes * block_bytes, problem);
  if (problem) return fail(io_error(fmt::format("padding {}", path), problem.value()));
  return {};
}

}  // namespace

Result<void> make_root_image(const Tree& tree, const Profile::Root& root, const Guid& uuid, const std::string& out_path,
                             const std::string& scratch, Progress& progress) {
  TRY(check_xattrs(tree));
  // The tools write under a name of ours; the result takes its own name only when it is whole.
  const auto folder = TRY(detail::draft_folder(out_path));
  const auto draft = folder.path() + "/image";
  switch (root.filesystem) {
    case RootFilesystem::squashfs:
      TRY(run_mksquashfs(tree, root, draft, progress));
      break;
    case RootFilesystem::erofs:
      TRY(run_mkfs_erofs(tree, root, uuid, draft, scratch, progress));
      break;
  }
  TRY(pad_to_block(draft));
  return detail::publish_draft(draft, out_path);
}

}  // namespace ingot::builder
