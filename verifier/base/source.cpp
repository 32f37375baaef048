#include "ingot/base/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ingot {
namespace {

Result<void> check_range(const ByteSource& source, std::uint64_t offset, std::uint64_t size) {
  if (offset <= source.size() && size <= source.size() - offset) return {};
  return fail(Error{ErrorCode::malformed,
                    fmt::format("truncated: {} bytes wanted at {}, the source ends at {}", size, offset, source.size()),
                    {},
                    offset,
                    std::nullopt});
}

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(Buffer bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override {
    TRY(check_range(*this, offset, into.size()));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  }

 private:
  Buffer bytes_;
};

class FileSource final : public ByteSource {
 public:
  FileSource(int fd, std::uint64_t size, std::string path) : fd_(fd), size_(size), path_(std::move(path)) {}
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  ~FileSource() override { ::close(fd_); }
  std::uint64_t size() const override { return size_; }
  int descriptor() const override { return fd_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override {
    TRY_IN(path_, check_range(*this, offset, into.size()));
    while (!into.empty()) {
      const auto hole = hole_at(offset, into.size());
      if (hole > 0) {
        std::fill_n(into.begin(), hole, std::uint8_t{0});
        into = into.subspan(hole);
        offset += hole;
        continue;
      }
      const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(io_error(fmt::format("reading {}", path_), errno));
      if (got == 0) return fail(ErrorCode::io, fmt::format("{} became shorter while it was read", path_));
      into = into.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return {};
  }

 private:
  /// How many of `size` bytes from `offset` on were never written. The kernel would fill its cache with zeros for them,
  /// which takes longer than all else that is done with a disk image. 0 where nobody knows, and for small reads.
  std::size_t hole_at(std::uint64_t offset, std::size_t size) const {
    constexpr std::size_t worth_asking_bytes = 64u << 10;
    if (size < worth_asking_bytes) return 0;
    const off_t data = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);  // reads give their own offset
    if (data >= 0)
      return static_cast<std::size_t>(std::min<std::uint64_t>(size, static_cast<std::uint64_t>(data) - offset));
    // No data up to the end of the file; which is to be where it was, or the file became shorter.
    const bool is_whole = errno == ENXIO && ::lseek(fd_, 0, SEEK_END) >= static_cast<off_t>(size_);
    return is_whole ? size : 0;
  }

  int fd_;
  std::uint64_t size_;
  std::string path_;
};

class SliceSource final : public ByteSource {
 public:
  SliceSource(SharedSource source, std::uint64_t offset, std::uint64_t size)
      : source_(std::move(source)), offset_(offset), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override {
    TRY(check_range(*this, offset, into.size()));
    return source_->read(offset_ + offset, into);
  }

 private:
  SharedSource source_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

class JoinedSource final : public ByteSource {
 public:
  JoinedSource(std::vector<PlacedSource> parts, std::uint64_t size) : parts_(std::move(parts)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, MutableBytes into) const override {
    TRY(check_range(*this, offset, into.size()));
    // The first part that ends behind the offset.
    auto part = std::partition_point(parts_.begin(), parts_.end(), [&](const PlacedSource& one) {
      return one.offset + one.source->size() <= offset;
    });
    while (!into.empty()) {
      const std::uint64_t start = part == parts_.end() ? size_ : part->offset;
      std::size_t take = into.size();
      if (offset < start) {
        take = static_cast<std::size_t>(std::min<std::uint64_t>(take, start - offset));
        std::fill_n(into.begin(), take, std::uint8_t{0});
      } else {
        take = static_cast<std::size_t>(std::min<std::uint64_t>(take, start + part->source->size() - offset));
        TRY(part->source->read(offset - start, into.first(take)));
        ++part;
      }
      into = into.subspan(take);
      offset += take;
    }
    return {};
  }

 private:
  std::vector<PlacedSource> parts_;
  std::uint64_t size_;
};

}  // namespace

SharedSource memory_source(Buffer bytes) { return std::make_shared<MemorySource>(std::move(bytes)); }

Result<SharedSource> file_source(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(io_error(fmt::format("opening {}", path), errno));
  struct stat info {};
  const off_t end = ::fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode) ? ::lseek(fd, 0, SEEK_END) : -1;
  if (end < 0) {
    ::close(fd);
    return fail(ErrorCode::io, fmt::format("{} is not a regular file or block device", path));
  }
  return std::make_shared<FileSource>(fd, static_cast<std::uint64_t>(end), path);
}

Result<SharedSource> slice_source(SharedSource source, std::uint64_t offset, std::uint64_t size) {
  TRY(check_range(*source, offset, size));
  return std::make_shared<SliceSource>(std::move(source), offset, size);
}

Result<SharedSource> joined_source(std::vector<PlacedSource> parts, std::uint64_t size) {
  std::uint64_t end = 0;
  for (const auto& part : parts) {
    if (part.offset < end || part.offset > size || part.source->size() > size - part.offset)
      return fail(ErrorCode::internal, fmt::format("a part of {} bytes at {} overlaps another or the end at {}",
                                                   part.source->size(), part.offset, size));
    end = part.offset + part.source->size();
  }
  return std::make_shared<JoinedSource>(std::move(parts), size);
}

Result<void> for_each_chunk(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                            const std::function<Result<void>(Bytes)>& sink) {
  constexpr std::uint64_t chunk_bytes = 1u << 20;
  Buffer chunk(static_cast<std::size_t>(std::min(size, chunk_bytes)));
  while (size > 0) {
    const MutableBytes part(chunk.data(), static_cast<std::size_t>(std::min<std::uint64_t>(size, chunk.size())));
    TRY(source.read(offset, part));
    TRY(sink(part));
    offset += part.size();
    size -= part.size();
  }
  return {};
}

Result<Buffer> read_all(const ByteSource& source, std::uint64_t cap_bytes) {
  return read_part(source, 0, source.size(), cap_bytes);
}

Result<Buffer> read_part(const ByteSource& source, std::uint64_t offset, std::uint64_t size, std::uint64_t cap_bytes) {
  if (size > cap_bytes)
    return fail(ErrorCode::limit, fmt::format("{} bytes are more than the {} allowed here", size, cap_bytes));
  TRY(check_range(source, offset, size));
  Buffer out(static_cast<std::size_t>(size));
  TRY(source.read(offset, out));
  return out;
}

Result<Buffer> read_file(const std::string& path, std::uint64_t cap_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(io_error(fmt::format("opening {}", path), errno));
  // Read to the end rather than stat: files of /proc and /sys say that they are empty.
  Buffer out;
  Buffer chunk(64u << 10);
  Result<void> result;
  for (;;) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result = fail(io_error(fmt::format("reading {}", path), errno));
    if (got <= 0) break;
    out.insert(out.end(), chunk.begin(), chunk.begin() + got);
    if (out.size() > cap_bytes) {
      result = fail(ErrorCode::limit, fmt::format("{} is larger than the {} bytes allowed here", path, cap_bytes));
      break;
    }
  }
  ::close(fd);
  TRY(std::move(result));
  return out;
}

}  // namespace ingot
