#include "ingot/codec/gpt.hpp"

#include <fmt/format.h>
#include <lzma.h>

#include <algorithm>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint32_t header_size = 92;
constexpr std::uint32_t entry_size = 128;
constexpr std::uint32_t entry_count = 128;
constexpr std::uint32_t entry_count_cap = 1024;
constexpr std::uint64_t table_lbas = entry_size * entry_count / lba_size_bytes;  // 32
constexpr std::uint64_t backup_lbas = table_lbas + 1;
constexpr std::size_t name_units = 36;
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
  out.text(signature).u32le(0x00010000).u32le(header_size).u32le(0).u32le(0);
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

Result<void> check_partitions(const Gpt& gpt) {
  if (gpt.disk_size_lba < gpt_first_usable_lba + backup_lbas) return fail(ErrorCode::limit, "the disk is too small for a GPT");
  if (gpt.partitions.size() > entry_count) return fail(ErrorCode::limit, "more than 128 partitions");
  auto sorted = gpt.partitions;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first_lba < b.first_lba; });
  std::uint64_t next = gpt_first_usable_lba;
  for (const auto& partition : sorted) {
    if (to_utf16le(partition.name).size() > name_units * 2)
      return fail(ErrorCode::limit, fmt::format("partition name \"{}\" is longer than 36 characters", partition.name));
    if (partition.first_lba < next || partition.last_lba < partition.first_lba || partition.last_lba >= gpt.disk_size_lba - backup_lbas)
      return fail(ErrorCode::malformed, fmt::format("partition \"{}\" overlaps another one or leaves the disk", partition.name));
    next = partition.last_lba + 1;
  }
  return {};
}

struct RawTable {
  Buffer header;   ///< header_size bytes as on disk
  Buffer entries;  ///< as on disk
  std::uint32_t one_entry_size = 0;
};

/// The primary header and its entries, both CRCs checked.
Result<RawTable> read_table(const ByteSource& disk) {
  RawTable table;
  table.header = TRY(read_part(disk, lba_size_bytes, header_size, header_size));
  Reader in{table.header};
  const Bytes magic = in.bytes(8);
  in.skip(4);
  const std::uint32_t size = in.u32le();
  const std::uint32_t header_crc = in.u32le();
  in.skip(52);
  const std::uint64_t entries_lba = in.u64le();
  const std::uint32_t count = in.u32le();
  table.one_entry_size = in.u32le();
  const std::uint32_t entries_crc = in.u32le();
  const auto bad = [](std::string message, std::uint64_t at) {
    return fail(Error{ErrorCode::malformed, std::move(message), {}, lba_size_bytes + at, std::nullopt});
  };
  if (as_text(magic) != signature) return bad("no GPT: the header's signature is missing", 0);
  if (size != header_size) return bad(fmt::format("a GPT header of {} bytes; 92 are handled", size), 12);
  Buffer zeroed = table.header;
  std::fill_n(zeroed.begin() + 16, 4, std::uint8_t{0});
  if (crc32(zeroed) != header_crc) return bad("the GPT header's CRC does not match", 16);
  if (table.one_entry_size != entry_size || count > entry_count_cap) return bad("GPT entries of another size than 128 bytes, or more than 1024", 80);
  if (entries_lba > disk.size() / lba_size_bytes) return bad("the GPT's entries lie behind the end of the disk", 72);
  table.entries = TRY(read_part(disk, entries_lba * lba_size_bytes, std::uint64_t{count} * entry_size, entry_count_cap * entry_size));
  if (crc32(table.entries) != entries_crc) return bad("the CRC of the GPT's entries does not match", 88);
  return table;
}

bool is_empty_entry(Bytes entry) {
  return std::all_of(entry.begin(), entry.begin() + 16, [](std::uint8_t byte) { return byte == 0; });
}

GptPartition decode_entry(Bytes entry) {
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

}  // namespace

Result<EncodedGpt> encode_gpt(const Gpt& gpt) {
  TRY(check_partitions(gpt));
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
  Reader in{table.header};
  in.skip(56);
  Gpt gpt;
  gpt.disk_size_lba = disk.size() / lba_size_bytes;
  gpt.disk = guid_from(in.bytes(16));
  for (Bytes rest = table.entries; !rest.empty(); rest = rest.subspan(entry_size)) {
    const Bytes entry = rest.first(entry_size);
    if (is_empty_entry(entry)) continue;
    auto partition = decode_entry(entry);
    if (partition.last_lba < partition.first_lba || partition.last_lba >= gpt.disk_size_lba)
      return fail(ErrorCode::malformed, fmt::format("partition \"{}\" lies behind the end of the disk", partition.name));
    gpt.partitions.push_back(std::move(partition));
  }
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
