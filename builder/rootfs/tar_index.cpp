#include <fmt/format.h>

#include "archive.hpp"
#include "ingot/builder/base_tree.hpp"

namespace ingot::builder {
namespace detail {
namespace {

Result<ArchiveReader> open_plain_tar(const std::string& path) {
  ArchiveReader reader(archive_read_new());
  if (reader == nullptr) return fail(ErrorCode::internal, "libarchive gives no reader");
  (void)archive_read_support_format_tar(reader.get());
  (void)archive_read_support_format_empty(reader.get());
  constexpr std::size_t block_bytes = 256u << 10;
  if (archive_read_open_filename(reader.get(), path.c_str(), block_bytes) != ARCHIVE_OK)
    return fail(archive_failure(reader.get(), path));
  return reader;
}

}  // namespace

Result<void> add_tar(Tree& tree, const std::string& tar_path, const EntryFilter& filter) {
  auto bytes = TRY(file_source(tar_path));
  const auto tar = std::make_shared<const TarFile>(TarFile{tar_path, std::move(bytes)});
  const auto reader = TRY(open_plain_tar(tar_path));
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    // A warning is about text that has no place in the current locale: names are taken as raw bytes or UTF-8 below.
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return fail(archive_failure(reader.get(), tar_path));
    const auto name = raw_path(entry);
    if (!name) return fail(ErrorCode::malformed, fmt::format("{}: an entry whose name cannot be read", tar_path));
    const auto where = fmt::format("{}: {}", tar_path, *name);
    const auto path = TRY_IN(where, canonical_path(*name));
    auto made = TRY_IN(where, entry_from(entry));
    TRY_IN(where, attach_content(made, reader.get(), entry, tar));
    if (filter && !TRY_IN(where, filter(path, made))) continue;
    TRY_IN(where, place(tree, TRY_IN(where, place_in(tree, path)), std::move(made)));
  }
  return {};
}

Result<void> complete_tree(Tree& tree, Progress& progress) {
  if (tree.find("/") == nullptr) TRY(tree.put_directory("/"));
  normalise_hard_links(tree);
  return hash_files(tree, progress);
}

}  // namespace detail

Result<Tree> index_tar(const std::string& tar_path, Progress& progress) {
  Tree tree;
  TRY(detail::add_tar(tree, tar_path, {}));
  TRY_IN(tar_path, detail::complete_tree(tree, progress));
  return tree;
}

}  // namespace ingot::builder
