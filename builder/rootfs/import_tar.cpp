#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "import.hpp"
#include "index_file.hpp"
#include "ingot/base/output.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::builder {
namespace detail {
namespace {

constexpr std::uint64_t decompressed_cap_bytes = std::uint64_t{256} << 30;
constexpr std::size_t chunk_bytes = 1u << 20;

/// Feeds libarchive from a ByteSource and hashes what it feeds.
struct Feed {
  const ByteSource& source;
  Progress& progress;
  std::uint64_t at = 0;
  Buffer chunk = Buffer(chunk_bytes);
  crypto::Hasher hasher{HashAlg::sha256};
  Result<void> result{};

  Result<Bytes> next() {
    const auto size = std::min<std::uint64_t>(chunk.size(), source.size() - at);
    const MutableBytes part(chunk.data(), static_cast<std::size_t>(size));
    TRY(source.read(at, part));
    hasher.update(part);
    at += size;
    progress.at(at, source.size());
    return Bytes(part);
  }
};

la_ssize_t feed_archive(archive* handle, void* context, const void** buffer) {
  auto& feed = *static_cast<Feed*>(context);
  const auto part = feed.next();
  if (!part) {
    feed.result = fail(part.error());
    archive_set_error(handle, EIO, "the input cannot be read");
    return -1;
  }
  *buffer = part->data();
  return static_cast<la_ssize_t>(part->size());
}

/// "raw" is the format of one unnamed member: the decompressed bytes. Only filters inside libarchive: "filter_all"
/// would let it start programs.
Result<ArchiveReader> open_raw(Feed& feed) {
  ArchiveReader reader(archive_read_new());
  if (reader == nullptr) return fail(ErrorCode::internal, "libarchive gives no reader");
  (void)archive_read_support_filter_gzip(reader.get());
  (void)archive_read_support_filter_bzip2(reader.get());
  (void)archive_read_support_filter_xz(reader.get());
  (void)archive_read_support_filter_lzma(reader.get());
  (void)archive_read_support_filter_zstd(reader.get());
  (void)archive_read_support_filter_lz4(reader.get());
  (void)archive_read_support_filter_compress(reader.get());
  (void)archive_read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open(reader.get(), &feed, nullptr, feed_archive, nullptr) != ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK)
    return fail(feed.result ? archive_failure(reader.get(), "reading it") : feed.result.error());
  return reader;
}

}  // namespace

Result<std::string> file_digest(const ByteSource& source, Progress& progress) {
  crypto::Hasher hasher(HashAlg::sha256);
  std::uint64_t done = 0;
  TRY(for_each_chunk(source, 0, source.size(), [&](Bytes chunk) -> Result<void> {
    hasher.update(chunk);
    progress.at(done += chunk.size(), source.size());
    return {};
  }));
  return to_hex(hasher.finish());
}

Result<std::string> decompress(const SharedSource& source, const std::string& to, Progress& progress) {
  Feed feed{*source, progress};
  const auto reader = TRY(open_raw(feed));
  auto out = TRY(OutputFile::create(to));
  Buffer chunk(chunk_bytes);
  std::uint64_t total = 0;
  for (;;) {
    const auto got = archive_read_data(reader.get(), chunk.data(), chunk.size());
    if (got == 0) break;
    if (got < 0) return fail(feed.result ? archive_failure(reader.get(), "decompressing it") : feed.result.error());
    total += static_cast<std::uint64_t>(got);
    if (total > decompressed_cap_bytes)
      return fail(ErrorCode::limit, fmt::format("it decompresses to more than {} GiB", decompressed_cap_bytes >> 30));
    TRY(out.write(Bytes(chunk).first(static_cast<std::size_t>(got))));
  }
  while (feed.at < source->size()) TRY(feed.next());  // what follows the compressed stream is part of the digest
  TRY(out.commit());
  return to_hex(feed.hasher.finish());
}

Result<Imported> import_tar_file(const std::string& path, const std::string& cache_folder, Progress& progress) {
  auto cache = TRY(Cache::open(cache_folder));
  const auto source = TRY(file_source(path));
  progress.step("base image", fmt::format("digest of {}", path));
  const auto digest = TRY(file_digest(*source, progress));
  const auto tar = cache.tree("tar-" + digest);
  TRY(cache.lock(progress));
  progress.step("base tree", path);
  if (std::filesystem::exists(tar)) {
    progress.cached();
  } else {
    const auto work = TRY(cache.work());
    const auto made = work.path() + "/tree.tar";
    const auto read = TRY_IN(path, decompress(source, made, progress));
    if (read != digest) return fail(ErrorCode::io, fmt::format("{} changed while it was read", path));
    TRY_IN(path, index_tar(made, progress));  // nothing that is no tree comes into the cache
    TRY(publish(made, tar));
  }
  return Imported{TRY(cached_index(tar, progress)), digest};
}

}  // namespace detail

Result<Tree> import_tar(const std::string& path, const std::string& cache, Progress& progress) {
  return TRY(detail::import_tar_file(path, cache, progress)).tree;
}

}  // namespace ingot::builder
