#include "ingot/base/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "ingot/base/descriptor.hpp"

namespace ingot {
namespace {

/// Precondition: not empty.
bool is_zero(Bytes page) { return page[0] == 0 && std::equal(page.begin() + 1, page.end(), page.begin()); }

/// The size of the longest run of pages at the start of `chunk` for which `holds` is true.
template <typename Predicate>
std::size_t leading_pages(Bytes chunk, Predicate holds) {
  constexpr std::size_t page_size = 4096;
  std::size_t size = 0;
  while (size < chunk.size()) {
    const Bytes page = chunk.subspan(size, std::min(page_size, chunk.size() - size));
    if (!holds(page)) break;
    size += page.size();
  }
  return size;
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path, unsigned mode) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return fail(io_error(fmt::format("creating {}", path), errno));
  OutputFile file(fd, path, temporary);
  if (::fchmod(fd, static_cast<mode_t>(mode)) != 0)
    return fail(io_error(fmt::format("setting the mode of {}", path), errno));
  return file;
}

OutputFile::OutputFile(int fd, std::string path, std::string temporary)
    : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      at_(other.at_) {}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Result<void> OutputFile::write(Bytes bytes) {
  TRY(write_at(at_, bytes));
  at_ += bytes.size();
  return {};
}

Result<void> OutputFile::write_at(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(io_error(fmt::format("writing {}", path_), errno));
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<void> OutputFile::copy_at(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    // A run of pages with content is one write; then a run of zero pages is none.
    const std::size_t filled = leading_pages(bytes, [](Bytes page) { return !is_zero(page); });
    TRY(write_at(offset, bytes.first(filled)));
    const std::size_t passed = filled + leading_pages(bytes.subspan(filled), is_zero);
    offset += passed;
    bytes = bytes.subspan(passed);
  }
  return {};
}

Result<void> OutputFile::copy_at(std::uint64_t offset, const ByteSource& source) {
  std::uint64_t at = offset;
  TRY(for_each_chunk(source, 0, source.size(), [&](Bytes chunk) -> Result<void> {
    TRY(copy_at(at, chunk));
    at += chunk.size();
    return {};
  }));
  // Zeros at the end were not written, and count all the same.
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return fail(io_error(fmt::format("writing {}", path_), errno));
  if (static_cast<std::uint64_t>(info.st_size) >= at) return {};
  return truncate(at);
}

Result<void> OutputFile::copy_part(const ByteSource& source, std::uint64_t offset, std::uint64_t size) {
  const int from = source.descriptor();
  while (from >= 0 && size > 0) {
    auto source_at = static_cast<off_t>(offset), at = source_at;
    const ssize_t copied = ::copy_file_range(from, &source_at, fd_, &at, size, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) break;  // another file system, say; whatever it is, reading and writing tell it better
    offset += static_cast<std::uint64_t>(copied);
    size -= static_cast<std::uint64_t>(copied);
  }
  return for_each_chunk(source, offset, size, [&](Bytes chunk) -> Result<void> {
    TRY(write_at(offset, chunk));
    offset += chunk.size();
    return {};
  });
}

Result<void> OutputFile::truncate(std::uint64_t size_bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0)
    return fail(io_error(fmt::format("setting the size of {}", path_), errno));
  return {};
}

Result<void> OutputFile::commit(Durability durability) {
  struct stat old {};
  if (durability == Durability::synced || ::lstat(path_.c_str(), &old) == 0 || errno != ENOENT) return commit_with(0);
  // A file system that writes later (NFS) tells its errors here. What was opened again is for rename_to() to close.
  const int again = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (again < 0 || ::close(std::exchange(fd_, again)) != 0)
    return fail(io_error(fmt::format("writing {}", path_), errno));
  return rename_to(0);
}

Result<void> OutputFile::commit_new() { return commit_with(RENAME_NOREPLACE); }

Result<void> OutputFile::commit_with(unsigned rename_flags) {
  if (::fsync(fd_) != 0) return fail(io_error(fmt::format("writing {}", path_), errno));
  return rename_to(rename_flags);
}

Result<void> OutputFile::rename_to(unsigned rename_flags) {
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), rename_flags) != 0) {
    if (errno == EEXIST)
      return fail(ErrorCode::usage, fmt::format("{} exists", path_), "move it away, or choose another name");
    return fail(io_error(fmt::format("creating {}", path_), errno));
  }
  ::close(std::exchange(fd_, -1));
  return {};
}

Result<void> commit_all_new(std::vector<OutputFile> files) {
  if (files.empty()) return {};
  // The first was opened before the others were written: their errors are told to it.
  const auto& first = files.front();
  const auto folder = std::filesystem::path(first.path_).parent_path().string();
  const int synced = files.size() == 1 ? ::fsync(first.fd_) : ::syncfs(first.fd_);
  if (synced != 0) return fail(io_error(fmt::format("writing {}", first.path_), errno));
  for (auto& file : files) {
    // The next files take their pages. Fresh ones can cost a virtual machine more than all else of the write, and the
    // machine what it had cached. Advice: whether it is taken changes nothing else.
    ::posix_fadvise(file.fd_, 0, 0, POSIX_FADV_DONTNEED);
    TRY(file.rename_to(RENAME_NOREPLACE));
  }
  const Descriptor names(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!names.is_open() || ::fsync(names.get()) != 0) return fail(io_error(fmt::format("writing {}", folder), errno));
  return {};
}

Result<void> write_file(const std::string& path, Bytes bytes, unsigned mode) {
  auto file = TRY(OutputFile::create(path, mode));
  TRY(file.write(bytes));
  return file.commit();
}

}  // namespace ingot
