#include "ingot/codec/gpt.hpp"

#include <lzma.h>

#include <catch2/catch.hpp>

#include "ingot/base/writer.hpp"
#include "ingot/crypto/hash.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

constexpr std::uint64_t disk_lbas = 4096;
constexpr std::size_t header = 512;
constexpr std::size_t entries = 1024;

Guid guid(std::uint8_t seed) { return derive_guid(Buffer(16, seed)); }

Gpt example() {
  return {guid(1),
          disk_lbas,
          {{esp_type, guid(2), 2048, 2559, 0, "esp"},
           {root_x86_64_type, guid(3), 40, 99, std::uint64_t{1} << 60, "root-x86-64 é😀"},
           {linux_generic_type, guid(4), 4062, 4062, 0, std::string(36, 'n')}}};
}

struct Disk {
  Buffer bytes = Buffer(disk_lbas * 512);
  explicit Disk(const Gpt& gpt) {
    const auto encoded = encode_gpt(gpt).value();
    put(0, encoded.primary);
    put(bytes.size() - encoded.backup.size(), encoded.backup);
  }
  void put(std::size_t at, Bytes value) {
    std::copy(value.begin(), value.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void put32(std::size_t at, std::uint32_t value) { put(at, Writer{}.u32le(value).view()); }
  void put64(std::size_t at, std::uint64_t value) { put(at, Writer{}.u64le(value).view()); }
  /// Makes both CRCs right again, so that a test reaches what is behind them.
  void seal(std::size_t entry_bytes = 128 * 128) {
    put32(header + 88, lzma_crc32(bytes.data() + entries, entry_bytes, 0));
    put32(header + 16, 0);
    put32(header + 16, lzma_crc32(bytes.data() + header, 92, 0));
  }
  [[nodiscard]] SharedSource source() const { return memory_source(bytes); }
};

}  // namespace

TEST_CASE("gpt: what is encoded is decoded, in the table's order") {
  const auto gpt = example();
  const auto encoded = encode_gpt(gpt);
  REQUIRE(encoded);
  CHECK(encoded->primary.size() == 34 * 512);
  CHECK(encoded->backup.size() == 33 * 512);
  CHECK(decode_gpt(*Disk(gpt).source()) == gpt);
  const Gpt empty{guid(1), disk_lbas, {}};
  CHECK(decode_gpt(*Disk(empty).source()) == empty);
  Gpt full{guid(1), disk_lbas, {}};
  for (std::uint8_t i = 0; i < 128; ++i)
    full.partitions.push_back({linux_generic_type, guid(static_cast<std::uint8_t>(i + 2)), 34u + i, 34u + i, 0, ""});
  CHECK(decode_gpt(*Disk(full).source()) == full);
}

TEST_CASE("gpt: the backup mirrors the primary") {
  const auto encoded = encode_gpt(example()).value();
  const Bytes backup = encoded.backup;
  CHECK(std::equal(backup.begin(), backup.begin() + 128 * 128, encoded.primary.begin() + 1024));
  const Bytes backup_header = backup.subspan(32 * 512);
  CHECK(to_hex(backup_header.subspan(24, 16)) == to_hex(Writer{}.u64le(disk_lbas - 1).u64le(1).view()));
  CHECK(to_hex(backup_header.subspan(72, 8)) == to_hex(Writer{}.u64le(disk_lbas - 33).view()));
  CHECK(to_hex(backup_header.subspan(40, 32)) == to_hex(Bytes(encoded.primary).subspan(512 + 40, 32)));
}

TEST_CASE("gpt: the protective MBR covers the disk, as far as it can say so") {
  const auto small = encode_gpt(example())->primary;
  CHECK(to_hex(Bytes(small).subspan(446, 16)) ==
        "00000200eeffffff01000000" + to_hex(Writer{}.u32le(disk_lbas - 1).view()));
  CHECK(to_hex(Bytes(small).subspan(510, 2)) == "55aa");
  auto large = example();
  large.disk_size_lba = std::uint64_t{1} << 33;
  CHECK(to_hex(Bytes(encode_gpt(large)->primary).subspan(458, 4)) == "ffffffff");
}

TEST_CASE("gpt: the CRC is the one of UEFI") {
  // The check value of CRC-32/ISO-HDLC for "123456789".
  const std::string digits = "123456789";
  CHECK(lzma_crc32(as_bytes(digits).data(), digits.size(), 0) == 0xCBF43926);
}

TEST_CASE("gpt: layouts that are none are refused when written") {
  struct Row {
    const char* name;
    void (*change)(Gpt&);
    ErrorCode code;
  };
  constexpr auto malformed = ErrorCode::malformed;
  const Row rows[] = {
      {"overlap by one block", [](Gpt& g) { g.partitions[1].last_lba = 2048; }, malformed},
      {"one inside another", [](Gpt& g) { g.partitions[1] = {linux_generic_type, guid(3), 2100, 2200, 0, ""}; },
       malformed},
      {"over the table", [](Gpt& g) { g.partitions[1].first_lba = 33; }, malformed},
      {"over the backup", [](Gpt& g) { g.partitions[2].last_lba = 4063; }, malformed},
      {"behind the disk", [](Gpt& g) { g.partitions[2].last_lba = ~std::uint64_t{0}; }, malformed},
      {"end before the start", [](Gpt& g) { g.partitions[0].last_lba = 2047; }, malformed},
      {"two of one GUID", [](Gpt& g) { g.partitions[1].unique = g.partitions[0].unique; }, malformed},
      {"no type", [](Gpt& g) { g.partitions[0].type = {}; }, malformed},
      {"name with a NUL", [](Gpt& g) { g.partitions[0].name = std::string("a\0b", 3); }, malformed},
      {"name of 37", [](Gpt& g) { g.partitions[0].name = std::string(37, 'a'); }, ErrorCode::limit},
      {"name of 19 that takes 38",
       [](Gpt& g) {
         g.partitions[0].name.clear();
         for (int i = 0; i < 19; ++i) g.partitions[0].name += "😀";
       },
       ErrorCode::limit},
      {"disk without room",
       [](Gpt& g) {
         g.partitions.clear();
         g.disk_size_lba = 67;
       },
       ErrorCode::limit},
      {"disk of nothing",
       [](Gpt& g) {
         g.partitions.clear();
         g.disk_size_lba = 0;
       },
       ErrorCode::limit},
      {"129 partitions", [](Gpt& g) { g.partitions.assign(129, g.partitions[0]); }, ErrorCode::limit},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto gpt = example();
    row.change(gpt);
    const auto encoded = encode_gpt(gpt);
    REQUIRE_FALSE(encoded);
    CHECK(encoded.error().code == row.code);
  }
  CHECK(encode_gpt({guid(1), 68, {{esp_type, guid(2), 34, 34, 0, ""}}}));
}

TEST_CASE("gpt: damage on the disk is malformed") {
  struct Row {
    const char* name;
    void (*damage)(Disk&);
    const char* said;
  };
  const Row rows[] = {
      {"no signature",
       [](Disk& d) {
         d.bytes[header] = 0;
         d.seal();
       },
       "signature"},
      {"header changed", [](Disk& d) { d.bytes[header + 60] ^= 1; }, "header's CRC"},
      {"entry changed", [](Disk& d) { d.bytes[entries + 40] ^= 1; }, "CRC of the GPT's entries"},
      {"unused entry changed", [](Disk& d) { d.bytes[entries + 128 * 128 - 1] ^= 1; }, "CRC of the GPT's entries"},
      {"revision 2",
       [](Disk& d) {
         d.put32(header + 8, 0x00020000);
         d.seal();
       },
       "revision"},
      {"header of 96 bytes",
       [](Disk& d) {
         d.put32(header + 12, 96);
         d.seal();
       },
       "96 bytes"},
      {"header of 4 GiB",
       [](Disk& d) {
         d.put32(header + 12, 0xFFFFFFFF);
         d.seal();
       },
       "bytes"},
      {"backup's header in the primary's place",
       [](Disk& d) {
         d.put64(header + 24, disk_lbas - 1);
         d.seal();
       },
       "another block"},
      {"usable blocks end before they start",
       [](Disk& d) {
         d.put64(header + 48, 33);
         d.seal();
       },
       "usable"},
      {"usable blocks behind the disk",
       [](Disk& d) {
         d.put64(header + 48, disk_lbas);
         d.seal();
       },
       "usable"},
      {"entries over the header",
       [](Disk& d) {
         d.put64(header + 72, 1);
         d.seal();
       },
       "entries are not between"},
      {"entries inside the usable blocks",
       [](Disk& d) {
         d.put64(header + 72, 3);
         d.seal();
       },
       "entries are not between"},
      {"entries behind the disk",
       [](Disk& d) {
         d.put64(header + 72, ~std::uint64_t{0});
         d.seal();
       },
       "entries are not between"},
      {"entries whose offset overflows",
       [](Disk& d) {
         d.put64(header + 72, std::uint64_t{1} << 55);
         d.seal();
       },
       "entries are not between"},
      {"entries of 256 bytes",
       [](Disk& d) {
         d.put32(header + 84, 256);
         d.seal();
       },
       "another size"},
      {"entries of 0 bytes",
       [](Disk& d) {
         d.put32(header + 84, 0);
         d.seal();
       },
       "another size"},
      {"4 billion entries",
       [](Disk& d) {
         d.put32(header + 80, 0xFFFFFFFF);
         d.seal();
       },
       "more than 1024"},
      {"132 entries in room for 128",
       [](Disk& d) {
         d.put32(header + 80, 132);
         d.seal();
       },
       "entries are not between"},
      {"partition over the table",
       [](Disk& d) {
         d.put64(entries + 32, 2);
         d.seal();
       },
       "may be used"},
      {"partition behind the disk",
       [](Disk& d) {
         d.put64(entries + 40, disk_lbas);
         d.seal();
       },
       "may be used"},
      {"partition that ends before it starts",
       [](Disk& d) {
         d.put64(entries + 40, 2047);
         d.seal();
       },
       "may be used"},
      {"partitions that overlap",
       [](Disk& d) {
         d.put64(entries + 32, 99);
         d.seal();
       },
       "overlap"},
      {"two partitions of one GUID",
       [](Disk& d) {
         d.put(entries + 128 + 16, Bytes(d.bytes).subspan(entries + 16, 16));
         d.seal();
       },
       "have the GUID"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    Disk disk(example());
    row.damage(disk);
    const auto gpt = decode_gpt(*disk.source());
    REQUIRE_FALSE(gpt);
    CHECK(gpt.error().code == ErrorCode::malformed);
    CHECK_THAT(gpt.error().message, Catch::Contains(row.said));
  }
}

TEST_CASE("gpt: no prefix that cuts table or usable blocks is a disk") {
  const Disk disk(example());
  for (std::size_t size = 0; size < disk.bytes.size() - 33 * 512; size += size < 20 * 1024 ? 1 : 5009) {
    const auto source =
        memory_source(Buffer(disk.bytes.begin(), disk.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    if (decode_gpt(*source)) FAIL("a disk of " << size << " bytes was taken");
    if (size < 34 * 512 && gpt_event_data(*source)) FAIL("an event was made of " << size << " bytes");
  }
}

TEST_CASE("gpt: the event is the header, the count and the used entries, as they are on the disk") {
  Disk disk(example());
  // An unused entry between used ones, as a deleted partition leaves it.
  std::fill_n(disk.bytes.begin() + entries + 128, 16, std::uint8_t{0});
  disk.seal();
  const auto event = gpt_event_data(*disk.source());
  REQUIRE(event);
  Buffer wanted(disk.bytes.begin() + header, disk.bytes.begin() + header + 92);
  const auto count = Writer{}.u64le(2).take();
  wanted.insert(wanted.end(), count.begin(), count.end());
  wanted.insert(wanted.end(), disk.bytes.begin() + entries, disk.bytes.begin() + entries + 128);
  wanted.insert(wanted.end(), disk.bytes.begin() + entries + 256, disk.bytes.begin() + entries + 384);
  CHECK(*event == wanted);
  CHECK(decode_gpt(*disk.source())->partitions.size() == 2);
}

TEST_CASE("gpt: a table with other numbers of entries is read, too") {
  Disk disk(example());
  disk.put32(header + 80, 4);
  disk.seal(4 * 128);
  CHECK(decode_gpt(*disk.source())->partitions.size() == 3);
  CHECK(gpt_event_data(*disk.source())->size() == 92 + 8 + 3 * 128);
}
