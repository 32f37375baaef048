#include "pe_output.hpp"

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
  const std::uint64_t end = pe.is_signed() ? pe.certificate_table_offset : pe.file_size;
  TRY(for_each_chunk(file, 0, end, [&](Bytes chunk) -> Result<void> {
    also(chunk);
    copy.sum_.add(copy.end_, chunk);
    TRY(copy.out_.copy_at(copy.end_, chunk));
    copy.end_ += chunk.size();
    return {};
  }));
  copy.sum_.take_back(pe.checksum_offset, Writer{}.u32le(pe.checksum).view());
  return copy;
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
