#include "pe_output.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ingot/base/writer.hpp"

namespace ingot::signer {
namespace {

constexpr std::size_t chunk_bytes = 256u << 10;

// Firmware loads no file of 2 GiB (edk2 counts its size in 31 bits).
Result<void> check_size(std::uint64_t size_bytes) {
  constexpr std::uint64_t size_cap_bytes = 0x7FFFFFFF;
  if (size_bytes <= size_cap_bytes) return {};
  return fail(ErrorCode::limit, "a PE file of 2 GiB and more; firmware does not load it", "make it smaller");
}

/// A thread that writes while this one reads and hashes. Buffers are few and small: what was just read is still in the
/// processor's cache when it is hashed and written, and what is hashed is what is written, whatever happens to the file
/// meanwhile.
class WritingHand {
 public:
  using Write = std::function<Result<void>(std::uint64_t at, Bytes)>;
  explicit WritingHand(Write write) : write_(std::move(write)), thread_([this] { work(); }) {}
  WritingHand(const WritingHand&) = delete;
  WritingHand& operator=(const WritingHand&) = delete;
  ~WritingHand() { (void)stop(); }

  /// One that is written, of chunk_bytes; waits for it. An error is one of an earlier write.
  Result<MutableBytes> free_buffer() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [&] { return taken_ - written_ < buffer_count; });
    if (!result_) return fail(Error(result_.error()));
    return MutableBytes(buffers_[taken_ % buffer_count]);
  }
  /// To be written to `at`; it may be read, but not written, until it is free again.
  void take(std::uint64_t at, Bytes buffer) {
    const std::lock_guard guard(lock_);
    parts_[taken_++ % buffer_count] = {at, buffer};
    changed_.notify_all();
  }
  Result<void> finish() { return stop(); }

 private:
  static constexpr std::size_t buffer_count = 4;
  struct Part {
    std::uint64_t at = 0;
    Bytes bytes;
  };

  void work() {
    for (std::unique_lock guard(lock_);;) {
      changed_.wait(guard, [&] { return written_ < taken_ || stopping_; });
      if (written_ == taken_) return;
      const auto part = parts_[written_ % buffer_count];
      const bool good = result_.has_value();
      guard.unlock();
      auto done = good ? write_(part.at, part.bytes) : Result<void>{};
      guard.lock();
      if (!done) result_ = std::move(done);
      ++written_;
      changed_.notify_all();
    }
  }
  Result<void> stop() {
    {
      const std::lock_guard guard(lock_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    return result_;
  }

  Write write_;
  std::array<Buffer, buffer_count> buffers_ = {Buffer(chunk_bytes), Buffer(chunk_bytes), Buffer(chunk_bytes),
                                               Buffer(chunk_bytes)};
  std::array<Part, buffer_count> parts_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::size_t taken_ = 0, written_ = 0;  ///< how many buffers
  bool stopping_ = false;
  Result<void> result_;
  std::thread thread_;  ///< last: it uses the others
};

}  // namespace

Result<PeOutput> PeOutput::copy(const ByteSource& file, const codec::Pe& pe, const std::string& out_path,
                                const std::function<void(Bytes)>& also) {
  TRY(check_size(pe.file_size));
  auto out = TRY(OutputFile::create(out_path));
  PeOutput copy(std::move(out), pe);
  TRY(copy.read_from(file, also));
  copy.sum_.take_back(pe.checksum_offset, Writer{}.u32le(pe.checksum).view());
  return copy;
}

Result<void> PeOutput::read_from(const ByteSource& file, const std::function<void(Bytes)>& also) {
  const std::uint64_t end = pe_.is_signed() ? pe_.certificate_table_offset : pe_.file_size;
  std::uint64_t under_way = 0;
  WritingHand writer([&](std::uint64_t at, Bytes bytes) -> Result<void> {
    sum_.add(at, bytes);
    TRY(out_.copy_at(at, bytes));
    constexpr std::uint64_t worth_starting_bytes = 2u << 20;
    if (const auto written = at + bytes.size(); written - under_way >= worth_starting_bytes || written == end) {
      // Advice: what is on its way to the disk by now, commit() need not wait for.
      ::sync_file_range(out_.descriptor(), static_cast<off_t>(under_way), static_cast<off_t>(written - under_way),
                        SYNC_FILE_RANGE_WRITE);
      under_way = written;
    }
    return {};
  });
  while (end_ < end) {
    const auto buffer = TRY(writer.free_buffer()).first(std::min<std::uint64_t>(end - end_, chunk_bytes));
    TRY(file.read(end_, buffer));
    writer.take(end_, buffer);
    also(buffer);
    end_ += buffer.size();
  }
  return writer.finish();
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
  return out_.commit();
}

}  // namespace ingot::signer
