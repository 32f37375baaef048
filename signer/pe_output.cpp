#include "pe_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "ingot/base/writer.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t chunk_bytes = 1u << 20;

// Firmware loads no file of 2 GiB (edk2 counts its size in 31 bits).
Result<void> check_size(std::uint64_t size_bytes) {
  constexpr std::uint64_t size_cap_bytes = 0x7FFFFFFF;
  if (size_bytes <= size_cap_bytes) return {};
  return fail(ErrorCode::limit, "a PE file of 2 GiB and more; firmware does not load it", "make it smaller");
}

/// A thread that copies while this one hashes what has arrived in the output. So what is hashed is what was written,
/// whatever happens to the file meanwhile.
class CopyingHand {
 public:
  /// `arrived` is called in that thread, for each part, in order.
  using Arrived = std::function<void(std::uint64_t at, std::uint64_t size)>;
  CopyingHand(OutputFile& out, const ByteSource& file, std::uint64_t end, Durability durability, Arrived arrived)
      : thread_([=, this, &out, &file] { work(out, file, end, durability, arrived); }) {}
  CopyingHand(const CopyingHand&) = delete;
  CopyingHand& operator=(const CopyingHand&) = delete;
  ~CopyingHand() {
    {
      const std::lock_guard guard(lock_);
      stopping_ = true;
    }
    thread_.join();
  }

  /// Waits for more than `known` bytes; says how many there are.
  Result<std::uint64_t> more_than(std::uint64_t known) {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [&] { return copied_ > known || !result_; });
    if (!result_) return fail(Error(result_.error()));
    return copied_;
  }

 private:
  void work(OutputFile& out, const ByteSource& file, std::uint64_t end, Durability durability, const Arrived& arrived) {
    for (std::uint64_t at = 0; at < end;) {
      const auto size = std::min<std::uint64_t>(end - at, chunk_bytes);
      auto done = out.copy_part(file, at, size);
      // Advice: what is on its way to the disk by now, commit() need not wait for.
      if (durability == Durability::synced)
        ::sync_file_range(out.descriptor(), static_cast<off_t>(at), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
      if (done) arrived(at, size);
      at += size;
      const std::lock_guard guard(lock_);
      if (done) copied_ = at;
      result_ = std::move(done);
      changed_.notify_all();
      if (stopping_ || !result_) return;
    }
  }

  std::mutex lock_;
  std::condition_variable changed_;
  std::uint64_t copied_ = 0;
  bool stopping_ = false;
  Result<void> result_;
  std::thread thread_;  ///< last: it uses the others
};

/// A file in memory, without holes where it was written. It is ours alone, so nobody shortens it meanwhile.
class Mapping {
 public:
  static Result<Mapping> of(const OutputFile& file, std::uint64_t size) {
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    if (at == MAP_FAILED) return fail(io_error(fmt::format("reading {}", file.temporary_path()), errno));
    return Mapping(at, size);
  }
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (at_ != nullptr) ::munmap(at_, size_);
  }
  /// Of which all must have been written.
  [[nodiscard]] Bytes part(std::uint64_t offset, std::uint64_t size) const {
    return Bytes(static_cast<const std::uint8_t*>(at_), size_).subspan(offset, size);
  }

 private:
  Mapping(void* at, std::uint64_t size) : at_(at), size_(size) {}
  void* at_;
  std::uint64_t size_;
};

}  // namespace

Result<PeOutput> PeOutput::copy(const ByteSource& file, const codec::Pe& pe, const std::string& out_path,
                                const std::function<void(Bytes)>& also, Durability durability) {
  TRY(check_size(pe.file_size));
  auto out = TRY(OutputFile::create(out_path));
  PeOutput copy(std::move(out), pe, durability);
  TRY(copy.read_from(file, also));
  copy.sum_.take_back(pe.checksum_offset, Writer{}.u32le(pe.checksum).view());
  return copy;
}

Result<void> PeOutput::read_from(const ByteSource& file, const std::function<void(Bytes)>& also) {
  const std::uint64_t end = pe_.is_signed() ? pe_.certificate_table_offset : pe_.file_size;
  TRY(out_.truncate(end));
  const auto written = TRY(Mapping::of(out_, end));
  // Both threads have about the same to do.
  CopyingHand copying(out_, file, end, durability_,
                      [&](std::uint64_t at, std::uint64_t size) { sum_.add(at, written.part(at, size)); });
  while (end_ < end) {
    const auto there = TRY(copying.more_than(end_));
    also(written.part(end_, there - end_));
    end_ = there;
  }
  return {};
}

Result<void> PeOutput::read(std::uint64_t offset, MutableBytes into) const {
  while (!into.empty()) {
    const ssize_t got = ::pread(out_.descriptor(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(io_error(fmt::format("reading {}", out_.temporary_path()), got < 0 ? errno : EIO));
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

std::uint32_t PeOutput::checksum_before(Bytes table) const {
  auto sum = sum_;
  sum.add(end_, table);
  return sum.value(pe_.file_size);
}

Result<void> PeOutput::finish(Bytes table) {
  const std::uint64_t table_at = (end_ + 7) / 8 * 8;
  const std::uint64_t size = table_at + table.size();
  TRY(check_size(size));
  const Buffer directory =
      table.empty()
          ? Buffer(8)
          : Writer{}.u32le(static_cast<std::uint32_t>(table_at)).u32le(static_cast<std::uint32_t>(table.size())).take();
  const Buffer old_directory = Writer{}
                                   .u32le(static_cast<std::uint32_t>(pe_.certificate_table_offset))
                                   .u32le(static_cast<std::uint32_t>(pe_.certificate_table_size))
                                   .take();
  sum_.take_back(pe_.security_directory_offset, old_directory);
  sum_.add(pe_.security_directory_offset, directory);
  sum_.add(table_at, table);
  TRY(out_.write_at(pe_.security_directory_offset, directory));
  TRY(out_.write_at(pe_.checksum_offset, Writer{}.u32le(sum_.value(size)).view()));
  TRY(out_.truncate(size));
  TRY(out_.write_at(table_at, table));
  return out_.commit(durability_);
}

}  // namespace ingot::signer
