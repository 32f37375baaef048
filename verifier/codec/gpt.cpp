#include "ingot/codec/gpt.hpp"

#include <fmt/format.h>
#include <lzma.h>

#include <algorithm>
#include <set>

#include "gpt_entry.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint32_t header_size = 92;
constexpr std::uint32_t entry_size = gpt_entry_size_bytes;
constexpr std::uint32_t entry_count = 128;
constexpr std::uint32_t entry_count_cap = 1024;
constexpr std::uint64_t table_lbas = entry_size * entry_count / lba_size_bytes;  // 32
constexpr std::uint64_t backup_lbas = table_lbas + 1;
constexpr std::size_t name_units = 36;
constexpr std::uint32_t revision = 0x00010000;
constexpr std::string_view signature = "EFI PART";

/// CRC-32 as UEFI means it (UEFI 2.10, "CalculateCrc32"): ISO 3309, the same as xz's.
std::uint32_t crc32(Bytes bytes) { return lzma_crc32(bytes.data(), bytes.size(), 0); }

Buffer encode_entries(const std::vector<GptPartition>& partitions) {
  Writer out;
  for (const auto& partition : partitions) {
    out.bytes(partition.type.bytes).bytes(partition.unique.bytes);
    out.u64le(partition.first_lba).u64le(partition.last_lba).u64le(partition.attributes);
    const auto name = to_utf16le(partition.name);
    out.bytes(name).fill(name_units * 2 - name.size());
  }
  return out.fill(entry_size * entry_count - out.size()).take();
}

struct HeaderPlace {
  std::uint64_t my_lba;
  std::uint64_t alternate_lba;
  std::uint64_t entries_lba;
};

// "GPT Header".
Buffer encode_header(const Gpt& gpt, const HeaderPlace& place, std::uint32_t entries_crc) {
  Writer out;
  out.text(signature).u32le(revision).u32le(header_size).u32le(0).u32le(0);
  out.u64le(place.my_lba).u64le(place.alternate_lba);
  out.u64le(gpt_first_usable_lba).u64le(gpt.disk_size_lba - backup_lbas - 1);
  out.bytes(gpt.disk.bytes).u64le(place.entries_lba).u32le(entry_count).u32le(entry_size).u32le(entries_crc);
  out.put_u32le(16, crc32(out.view()));
  return out.fill(lba_size_bytes - header_size).take();
}

// "Protective MBR".
Buffer protective_mbr(std::uint64_t disk_size_lba) {
  Writer out;
  out.fill(446).u8(0).u8(0).u8(2).u8(0).u8(0xEE).u8(0xFF).u8(0xFF).u8(0xFF).u32le(1);
  out.u32le(static_cast<std::uint32_t>(std::min<std::uint64_t>(disk_size_lba - 1, 0xFFFFFFFF)));
  return out.fill(48).u8(0x55).u8(0xAA).take();
}

Result<void> check_encodable(const Gpt& gpt) {
  if (gpt.disk_size_lba <= gpt_first_usable_lba + backup_lbas)
    return fail(ErrorCode::limit, "the disk is too small for a GPT", "give it at least 68 blocks of 512 bytes");
  if (gpt.partitions.size() > entry_count) return fail(ErrorCode::limit, "more than 128 partitions");
  for (const auto& partition : gpt.partitions) {
    if (partition.type == Guid{})
      return fail(ErrorCode::malformed,
                  fmt::format("partition \"{}\" has no type; that marks an unused entry", partition.name));
    if (to_utf16le(partition.name).size() > name_units * 2)
      return fail(ErrorCode::limit, fmt::format("partition name \"{}\" is longer than 36 characters", partition.name));
    if (partition.name.find('\0') != std::string::npos)
      return fail(ErrorCode::malformed, fmt::format("partition name \"{}\" holds a NUL", partition.name));
  }
  return check_gpt_layout(gpt.partitions, gpt_first_usable_lba, gpt.disk_size_lba - backup_lbas - 1);
}

struct RawTable {
  Buffer header;   ///< header_size bytes as on disk
  Buffer entries;  ///< as on disk
  Guid disk;
  std::uint64_t first_usable_lba = 0;
  std::uint64_t last_usable_lba = 0;
};

tl::unexpected<Error> bad_header(std::string message, std::uint64_t at) {
  return fail(Error{ErrorCode::malformed, std::move(message), {}, lba_size_bytes + at, std::nullopt});
}

/// The primary header and its entries, both CRCs checked, the header's numbers held against the disk.
Result<RawTable> read_table(const ByteSource& disk) {
  RawTable table;
  table.header = TRY_IN("GPT header", read_part(disk, lba_size_bytes, header_size, header_size));
  Reader in{table.header};
  const Bytes magic = in.bytes(8);
  const std::uint32_t found_revision = in.u32le();
  const std::uint32_t size = in.u32le();
  const std::uint32_t header_crc = in.u32le();
  in.skip(4);
  const std::uint64_t my_lba = in.u64le();
  in.skip(8);
  table.first_usable_lba = in.u64le();
  table.last_usable_lba = in.u64le();
  table.disk = guid_from(in.bytes(16));
  const std::uint64_t entries_lba = in.u64le();
  const std::uint32_t count = in.u32le();
  const std::uint32_t one_entry_size = in.u32le();
  const std::uint32_t entries_crc = in.u32le();
  if (as_text(magic) != signature) return bad_header("no GPT: the header's signature is missing", 0);
  if (found_revision != revision)
    return bad_header(fmt::format("GPT revision 0x{:08x}; 1.0 is handled", found_revision), 8);
  if (size != header_size) return bad_header(fmt::format("a GPT header of {} bytes; 92 are handled", size), 12);
  Buffer zeroed = table.header;
  std::fill_n(zeroed.begin() + 16, 4, std::uint8_t{0});
  if (crc32(zeroed) != header_crc) return bad_header("the GPT header's CRC does not match", 16);
  if (my_lba != 1) return bad_header("the GPT header says that it is of another block", 24);
  const std::uint64_t disk_lbas = disk.size() / lba_size_bytes;
  if (table.first_usable_lba > table.last_usable_lba || table.last_usable_lba >= disk_lbas)
    return bad_header("the GPT's usable blocks leave the disk", 40);
  if (one_entry_size != entry_size || count > entry_count_cap)
    return bad_header("GPT entries of another size than 128 bytes, or more than 1024", 80);
  const std::uint64_t entries_lbas = (std::uint64_t{count} * entry_size + lba_size_bytes - 1) / lba_size_bytes;
  if (entries_lba < 2 || entries_lba > table.first_usable_lba || entries_lbas > table.first_usable_lba - entries_lba)
    return bad_header("the GPT's entries are not between its header and the first usable block", 72);
  table.entries = TRY_IN("GPT entries", read_part(disk, entries_lba * lba_size_bytes, std::uint64_t{count} * entry_size,
                                                  entry_count_cap * entry_size));
  if (crc32(table.entries) != entries_crc) return bad_header("the CRC of the GPT's entries does not match", 88);
  return table;
}

bool is_empty_entry(Bytes entry) {
  return std::all_of(entry.begin(), entry.begin() + 16, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

Result<void> check_gpt_layout(const std::vector<GptPartition>& partitions, std::uint64_t first, std::uint64_t last) {
  std::vector<const GptPartition*> sorted;
  std::set<Guid> seen;
  for (const auto& partition : partitions) {
    sorted.push_back(&partition);
    if (partition.first_lba < first || partition.last_lba < partition.first_lba || partition.last_lba > last)
      return fail(ErrorCode::malformed,
                  fmt::format("partition \"{}\" has blocks {} to {}; {} to {} may be used", partition.name,
                              partition.first_lba, partition.last_lba, first, last));
    if (!seen.insert(partition.unique).second)
      return fail(ErrorCode::malformed, fmt::format("two partitions have the GUID {}", to_text(partition.unique)));
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first_lba < b->first_lba; });
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i]->first_lba <= sorted[i - 1]->last_lba)
      return fail(ErrorCode::malformed,
                  fmt::format("partitions \"{}\" and \"{}\" overlap", sorted[i - 1]->name, sorted[i]->name));
  return {};
}

GptPartition decode_gpt_entry(Bytes entry) {
  Reader in{entry};
  GptPartition partition;
  partition.type = guid_from(in.bytes(16));
  partition.unique = guid_from(in.bytes(16));
  partition.first_lba = in.u64le();
  partition.last_lba = in.u64le();
  partition.attributes = in.u64le();
  const Bytes name = in.bytes(name_units * 2);
  std::size_t length = 0;
  while (length < name.size() && (name[length] != 0 || name[length + 1] != 0)) length += 2;
  partition.name = from_utf16le(name.first(length));
  return partition;
}

Result<EncodedGpt> encode_gpt(const Gpt& gpt) {
  TRY(check_encodable(gpt));
  const auto entries = encode_entries(gpt.partitions);
  const std::uint32_t entries_crc = crc32(entries);
  const std::uint64_t last = gpt.disk_size_lba - 1;
  Writer primary;
  primary.bytes(protective_mbr(gpt.disk_size_lba)).bytes(encode_header(gpt, {1, last, 2}, entries_crc)).bytes(entries);
  Writer backup;
  backup.bytes(entries).bytes(encode_header(gpt, {last, 1, last - table_lbas}, entries_crc));
  return EncodedGpt{primary.take(), backup.take()};
}

Result<Gpt> decode_gpt(const ByteSource& disk) {
  const auto table = TRY(read_table(disk));
  Gpt gpt;
  gpt.disk_size_lba = disk.size() / lba_size_bytes;
  gpt.disk = table.disk;
  for (Bytes rest = table.entries; !rest.empty(); rest = rest.subspan(entry_size))
    if (!is_empty_entry(rest.first(entry_size))) gpt.partitions.push_back(decode_gpt_entry(rest.first(entry_size)));
  TRY(check_gpt_layout(gpt.partitions, table.first_usable_lba, table.last_usable_lba));
  return gpt;
}

Result<Buffer> gpt_event_data(const ByteSource& disk) {
  const auto table = TRY(read_table(disk));
  Writer used;
  std::uint64_t count = 0;
  for (Bytes rest = table.entries; !rest.empty(); rest = rest.subspan(entry_size)) {
    if (is_empty_entry(rest.first(entry_size))) continue;
    used.bytes(rest.first(entry_size));
    ++count;
  }
  return Writer{}.bytes(table.header).u64le(count).bytes(used.view()).take();
}

}  // namespace ingot::codec
