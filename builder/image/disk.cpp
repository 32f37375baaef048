// Raw disk images with a GPT. UEFI 2.10, "GUID Partition Table (GPT) Disk Layout".
#include <fmt/format.h>

#include <algorithm>

#include "ingot/base/output.hpp"
#include "ingot/builder/image.hpp"

namespace ingot::builder {
namespace {

constexpr std::uint64_t alignment_bytes = 1u << 20;
constexpr std::uint64_t alignment_lba = alignment_bytes / codec::lba_size_bytes;
constexpr std::uint64_t disk_size_cap_bytes = std::uint64_t{1} << 50;  // sums below cannot wrap

Result<std::uint64_t> partition_size(const DiskPartition& partition, const SharedSource& content) {
  const std::uint64_t content_bytes = content == nullptr ? 0 : content->size();
  const std::uint64_t wanted = partition.size_bytes == 0 ? content_bytes : partition.size_bytes;
  if (content_bytes > wanted)
    return fail(
        ErrorCode::limit,
        fmt::format("partition \"{}\": {} bytes of content do not fit into {}", partition.name, content_bytes, wanted),
        "set its size higher, or to 0");
  if (wanted == 0)
    return fail(ErrorCode::usage, fmt::format("partition \"{}\" has neither content nor a size", partition.name));
  if (wanted > disk_size_cap_bytes)
    return fail(ErrorCode::limit, fmt::format("partition \"{}\" of {} bytes", partition.name, wanted));
  return (wanted + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
}

}  // namespace

Result<codec::Gpt> plan_disk(const Guid& disk_guid, const std::vector<DiskPartition>& partitions,
                             std::uint64_t room_bytes) {
  codec::Gpt gpt;
  gpt.disk = disk_guid;
  std::uint64_t end_bytes = alignment_bytes;
  for (const auto& partition : partitions) {
    const auto content = partition.content.empty() ? nullptr : TRY(file_source(partition.content));
    const auto size = TRY(partition_size(partition, content));
    if (size > disk_size_cap_bytes - end_bytes) return fail(ErrorCode::limit, "the disk would be larger than 1 PiB");
    const auto first = end_bytes / codec::lba_size_bytes;
    gpt.partitions.push_back(
        {partition.type, partition.unique, first, first + size / codec::lba_size_bytes - 1, 0, partition.name});
    end_bytes += size;
  }
  if (room_bytes > disk_size_cap_bytes - end_bytes)
    return fail(ErrorCode::limit, "the disk would be larger than 1 PiB");
  end_bytes += room_bytes;
  // The backup table takes the last 33 blocks of one more MiB.
  gpt.disk_size_lba = end_bytes / codec::lba_size_bytes + alignment_lba;
  return gpt;
}

Result<codec::Gpt> make_disk(const Guid& disk_guid, const std::vector<DiskPartition>& partitions,
                             std::uint64_t room_bytes, const std::string& out_path, Progress& progress) {
  const auto gpt = TRY(plan_disk(disk_guid, partitions, room_bytes));
  const auto table = TRY(codec::encode_gpt(gpt));

  auto out = TRY(OutputFile::create(out_path));
  TRY(out.truncate(gpt.disk_size_lba * codec::lba_size_bytes));
  TRY(out.write_at(0, table.primary));
  TRY(out.write_at(gpt.disk_size_lba * codec::lba_size_bytes - table.backup.size(), table.backup));
  std::uint64_t done_bytes = 0, total_bytes = 0;
  std::vector<SharedSource> contents;
  for (const auto& partition : partitions) {
    contents.push_back(partition.content.empty() ? memory_source({}) : TRY(file_source(partition.content)));
    total_bytes += contents.back()->size();
  }
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const auto& content = contents[i];
    const auto offset = gpt.partitions[i].first_lba * codec::lba_size_bytes;
    constexpr std::uint64_t slice_bytes = 16u << 20;
    for (std::uint64_t at = 0; at < content->size(); at += slice_bytes) {
      const auto part = TRY(slice_source(content, at, std::min(slice_bytes, content->size() - at)));
      TRY(out.copy_at(offset + at, *part));
      done_bytes += part->size();
      progress.at(done_bytes, total_bytes);
    }
  }
  TRY(out.commit());
  return gpt;
}

}  // namespace ingot::builder
