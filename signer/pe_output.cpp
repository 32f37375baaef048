#include "pe_output.hpp"

#include <fcntl.h>

#include <algorithm>
#include <future>

#include "ingot/base/writer.hpp"

namespace ingot::signer {
namespace {

// Firmware loads no file of 2 GiB (edk2 counts its size in 31 bits).
Result<void> check_size(std::uint64_t size_bytes) {
  constexpr std::uint64_t size_cap_bytes = 0x7FFFFFFF;
  if (size_bytes <= size_cap_bytes) return {};
  return fail(ErrorCode::limit, "a PE file of 2 GiB and more; firmware does not load it", "make it smaller");
}

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

// Two buffers: while a thread writes what is in one, this one hashes it and fills the other. What is hashed is what is
// written, whatever happens to the file meanwhile.
Result<void> PeOutput::read_from(const ByteSource& file, const std::function<void(Bytes)>& also) {
  constexpr std::uint64_t chunk_bytes = 2u << 20;
  const std::uint64_t end = pe_.is_signed() ? pe_.certificate_table_offset : pe_.file_size;
  Buffer buffers[2];
  std::future<Result<void>> writing;  // its end is waited for before the buffers go
  for (std::size_t turn = 0; end_ < end; turn ^= 1) {
    auto& buffer = buffers[turn];
    buffer.resize(static_cast<std::size_t>(std::min(end - end_, chunk_bytes)));
    TRY(file.read(end_, buffer));
    if (writing.valid()) TRY(writing.get());
    writing = std::async(std::launch::async, [this, &buffer, at = end_]() -> Result<void> {
      sum_.add(at, buffer);
      TRY(out_.copy_at(at, buffer));
      // Advice: what is on its way to the disk by now, commit() need not wait for.
      ::sync_file_range(out_.descriptor(), static_cast<off_t>(at), static_cast<off_t>(buffer.size()),
                        SYNC_FILE_RANGE_WRITE);
      return {};
    });
    also(buffer);
    end_ += buffer.size();
  }
  if (writing.valid()) TRY(writing.get());
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
  return out_.commit();
}

}  // namespace ingot::signer
