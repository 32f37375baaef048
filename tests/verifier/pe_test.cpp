#include <algorithm>
#include <catch2/catch.hpp>

#include "pe_image.hpp"

using namespace ingot;
using test::PeImage;
using test::win_certificate;

TEST_CASE("pe: headers and sections are read") {
  const auto pe = PeImage{}.decode();
  REQUIRE(pe);
  CHECK(pe->machine == 0x8664);
  CHECK(pe->pe_header_offset == PeImage::pe_header);
  CHECK(pe->optional_header_offset == PeImage::optional_header);
  CHECK(pe->checksum_offset == PeImage::checksum);
  CHECK(pe->security_directory_offset == PeImage::security_directory);
  CHECK(pe->section_table_offset == PeImage::section_table);
  CHECK(pe->section_alignment == 0x1000);
  CHECK(pe->file_alignment == 0x200);
  CHECK(pe->size_of_image == 0x3000);
  CHECK(pe->size_of_headers == 0x400);
  CHECK(pe->file_size == 0x800);
  CHECK_FALSE(pe->is_signed());
  REQUIRE(pe->sections.size() == 2);
  const auto* data = pe->find(".data");
  REQUIRE(data != nullptr);
  CHECK(data->virtual_size == 0x800);
  CHECK(data->virtual_address == 0x2000);
  CHECK(data->raw_size == 0x200);
  CHECK(data->raw_offset == 0x600);
  CHECK(data->characteristics == 0xC0000040);
  CHECK(pe->find(".dat") == nullptr);
}

TEST_CASE("pe: a name of eight bytes has no NUL") {
  PeImage image;
  image.put(PeImage::section(0, 0), as_bytes(".pcrpkey"));
  CHECK(image.decode()->find(".pcrpkey") != nullptr);
}

TEST_CASE("pe: damage is an error that says what it is") {
  struct Row {
    const char* name;
    void (*damage)(PeImage&);
    ErrorCode code;
    const char* said;
  };
  using I = PeImage;
  constexpr auto malformed = ErrorCode::malformed;
  constexpr auto unsupported = ErrorCode::unsupported;
  const Row rows[] = {
      {"no MZ", [](I& i) { i.bytes[0] = 'X'; }, malformed, "MZ"},
      {"no PE signature", [](I& i) { i.bytes[I::pe_header] = 0; }, malformed, "\"PE\""},
      {"PE header behind the end", [](I& i) { i.put32(60, 0x10000); }, malformed, "truncated"},
      {"PE header at the top of 32 bits", [](I& i) { i.put32(60, 0xFFFFFFF8); }, malformed, "truncated"},
      {"PE header inside the DOS header", [](I& i) { i.put32(60, 4); }, malformed, "DOS header"},
      {"another machine", [](I& i) { i.put16(I::pe_header + 4, 0x014C); }, unsupported, "0x014c"},
      {"PE32", [](I& i) { i.put16(I::optional_header, 0x010B); }, unsupported, "32-bit"},
      {"97 sections", [](I& i) { i.put16(I::pe_header + 6, 97); }, malformed, "97 sections"},
      {"section table behind SizeOfHeaders", [](I& i) { i.put16(I::pe_header + 6, 20); }, malformed, "section table"},
      {"optional header smaller than its directories", [](I& i) { i.put16(I::pe_header + 20, 232); }, malformed,
       "data directories"},
      {"17 directories",
       [](I& i) {
         i.put32(I::optional_header + 108, 17);
         i.put16(I::pe_header + 20, 248);
       },
       malformed, "data directories"},
      {"directories that overflow", [](I& i) { i.put32(I::optional_header + 108, 0x20000010); }, malformed,
       "data directories"},
      {"no entry for certificates",
       [](I& i) {
         i.put32(I::optional_header + 108, 4);
         i.put16(I::pe_header + 20, 144);
       },
       malformed, "certificate table entry"},
      {"section alignment of 0", [](I& i) { i.put32(I::optional_header + 32, 0); }, malformed, "powers of two"},
      {"file alignment of 3", [](I& i) { i.put32(I::optional_header + 36, 3); }, malformed, "powers of two"},
      {"headers larger than the file", [](I& i) { i.put32(I::optional_header + 60, 0x801); }, malformed, "truncated"},
      {"section behind the end", [](I& i) { i.put32(I::section(1, 20), 0x601); }, malformed,
       "truncated: section .data"},
      {"section offset that overflows", [](I& i) { i.put32(I::section(1, 20), 0xFFFFFF00); }, malformed,
       "truncated: section .data"},
      {"section size that overflows", [](I& i) { i.put32(I::section(1, 16), 0xFFFFFFFF); }, malformed, ".data"},
      {"sections share a byte of the file", [](I& i) { i.put32(I::section(1, 20), 0x5FF); }, malformed,
       "overlap in the file"},
      {"section inside the headers of the file", [](I& i) { i.put32(I::section(0, 20), 0x300); }, malformed,
       "overlap in the file"},
      {"sections share memory", [](I& i) { i.put32(I::section(0, 8), 0x1001); }, malformed, "overlap in memory"},
      {"section over the loaded headers", [](I& i) { i.put32(I::section(0, 12), 0x200); }, malformed,
       "overlap in memory"},
      {"section behind SizeOfImage", [](I& i) { i.put32(I::section(1, 8), 0x1001); }, malformed, "SizeOfImage"},
      {"section address that overflows", [](I& i) { i.put32(I::section(1, 12), 0xFFFFFFFF); }, malformed,
       "SizeOfImage"},
      {"file part larger than the memory left, size unset",
       [](I& i) {
         i.put32(I::section(1, 8), 0);
         i.put32(I::section(1, 12), 0x2F00);
       },
       malformed, "SizeOfImage"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    PeImage image;
    row.damage(image);
    const auto pe = image.decode();
    REQUIRE_FALSE(pe);
    CHECK(pe.error().code == row.code);
    CHECK_THAT(pe.error().message, Catch::Contains(row.said));
  }
}

TEST_CASE("pe: odd but sound files are read") {
  struct Row {
    const char* name;
    void (*change)(PeImage&);
  };
  using I = PeImage;
  const Row rows[] = {
      {"no sections", [](I& i) { i.put16(I::pe_header + 6, 0); }},
      {"AArch64", [](I& i) { i.put16(I::pe_header + 4, 0xAA64); }},
      {"a section of memory only",
       [](I& i) {
         i.put32(I::section(1, 16), 0);
         i.put32(I::section(1, 20), 0xFFFFFFFF);
       }},
      {"a section of no memory and no file",
       [](I& i) {
         i.put32(I::section(1, 16), 0);
         i.put32(I::section(1, 8), 0);
       }},
      {"sections not in order of the file",
       [](I& i) {
         i.put32(I::section(0, 20), I::data);
         i.put32(I::section(1, 20), I::text);
       }},
      {"bytes behind the sections", [](I& i) { i.append(Buffer(13, 7)); }},
      {"an offset of certificates but no size", [](I& i) { i.put32(I::security_directory, 0xFFFFFFFF); }},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    PeImage image;
    row.change(image);
    const auto pe = image.decode();
    if (!pe) FAIL(describe(pe.error()));
    CHECK(codec::pe_signatures(*image.source(), *pe)->empty());
  }
}

TEST_CASE("pe: no prefix is a whole file") {
  PeImage image;
  image.sign(win_certificate(Buffer(100, 0x30)));
  for (std::size_t size = 0; size < image.bytes.size(); ++size) {
    const auto pe = codec::decode_pe(
        *memory_source(Buffer(image.bytes.begin(), image.bytes.begin() + static_cast<std::ptrdiff_t>(size))));
    if (pe) FAIL("a prefix of " << size << " bytes was taken");
    if (pe.error().code != ErrorCode::malformed) FAIL(describe(pe.error()));
  }
}

TEST_CASE("pe: signatures are the PKCS#7 entries, in order") {
  PeImage image;
  Buffer table = win_certificate(as_bytes("first"));
  for (const auto& more : {win_certificate(as_bytes("not pkcs"), 0x0EF1), win_certificate(as_bytes("second one"))})
    table.insert(table.end(), more.begin(), more.end());
  image.sign(table);
  const auto pe = image.decode();
  REQUIRE(pe);
  CHECK(pe->is_signed());
  CHECK(pe->certificate_table_offset == 0x800);
  const auto signatures = codec::pe_signatures(*image.source(), *pe);
  REQUIRE(signatures);
  REQUIRE(signatures->size() == 2);
  CHECK(as_text((*signatures)[0]) == "first");
  CHECK(as_text((*signatures)[1]) == "second one");
}

TEST_CASE("pe: the padding of the last signature may be left out of the table's size") {
  PeImage image;
  Buffer table = win_certificate(as_bytes("abc"));
  table.resize(11);
  image.sign(table);
  CHECK(codec::pe_signatures(*image.source(), image.decode().value())->size() == 1);
}

TEST_CASE("pe: a bad certificate table is an error") {
  struct Row {
    const char* name;
    void (*damage)(PeImage&);
    const char* said;
  };
  using I = PeImage;
  const Row rows[] = {
      {"table behind the end", [](I& i) { i.put32(I::security_directory + 4, 0x20); }, "truncated"},
      {"table offset that overflows", [](I& i) { i.put32(I::security_directory, 0xFFFFFFF8); }, "truncated"},
      {"bytes behind the table", [](I& i) { i.append(Buffer(8)); }, "bytes follow the certificate table"},
      {"table not on 8 bytes",
       [](I& i) {
         i.put32(I::security_directory, 0x7FF);
         i.put32(I::security_directory + 4, 17);
       },
       "aligned"},
      {"table over a section",
       [](I& i) {
         i.put32(I::security_directory, 0x7F8);
         i.put32(I::security_directory + 4, 24);
       },
       "overlaps section .data"},
      {"table over the headers",
       [](I& i) {
         i.put16(I::pe_header + 6, 0);
         i.put32(I::security_directory, 0x3F8);
         i.put32(I::security_directory + 4, 0x418);
       },
       "overlaps the headers"},
      {"certificate larger than the table", [](I& i) { i.put32(0x800, 17); }, "truncated"},
      {"certificate smaller than its header", [](I& i) { i.put32(0x800, 7); }, "shorter than its own header"},
      {"certificate of length 0", [](I& i) { i.put32(0x800, 0); }, "shorter than its own header"},
      {"certificate size that overflows", [](I& i) { i.put32(0x800, 0xFFFFFFFF); }, "truncated"},
      {"rest too small for a certificate",
       [](I& i) {
         i.append(Buffer(4));
         i.put32(I::security_directory + 4, 20);
       },
       "truncated"},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    PeImage image;
    image.sign(win_certificate(as_bytes("8 bytes!")));
    row.damage(image);
    const auto pe = image.decode();
    const auto signatures =
        pe ? codec::pe_signatures(*image.source(), *pe) : Result<std::vector<Buffer>>(fail(pe.error()));
    REQUIRE_FALSE(signatures);
    CHECK(signatures.error().code == ErrorCode::malformed);
    CHECK_THAT(signatures.error().message, Catch::Contains(row.said));
  }
}

TEST_CASE("pe: limits hold") {
  PeImage many;
  Buffer table;
  for (int i = 0; i < 17; ++i) {
    const auto one = win_certificate(as_bytes("8 bytes!"));
    table.insert(table.end(), one.begin(), one.end());
  }
  many.sign(table);
  CHECK(codec::pe_signatures(*many.source(), many.decode().value()).error().code == ErrorCode::limit);

  PeImage large;
  large.sign(Buffer((1u << 20) + 8));
  CHECK(codec::pe_signatures(*large.source(), large.decode().value()).error().code == ErrorCode::limit);
}

TEST_CASE("pe: entries of the certificate table are written as they were read") {
  PeImage image;
  const std::vector<codec::WinCertificate> wanted = {
      {0x0200, 0x0002, to_buffer(as_bytes("first"))}, {0x0100, 0x0EF1, Buffer(8, 7)}, {0x0200, 0x0002, {}}};
  const auto table = codec::encode_certificate_table(wanted);
  CHECK(table.size() == 16 + 16 + 8);
  image.sign(table);
  CHECK(codec::pe_certificates(*image.source(), image.decode().value()).value() == wanted);
  CHECK(codec::encode_certificate_table({}).empty());
  CHECK(codec::pe_certificates(*PeImage{}.source(), PeImage{}.decode().value())->empty());
}

namespace {

/// CheckSum by its definition, one word at a time.
std::uint32_t checksum_by_definition(Buffer bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::fill_n(bytes.begin() + PeImage::checksum, 4, std::uint8_t{0});
  if (bytes.size() % 2 != 0) bytes.push_back(0);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += bytes[i] | static_cast<std::uint32_t>(bytes[i + 1]) << 8;
    sum = (sum >> 16) + (sum & 0xFFFF);
  }
  return sum + size;
}

}  // namespace

TEST_CASE("pe: CheckSum is the sum of words with its carries, for every length and every split") {
  for (std::size_t behind = 0; behind < 20; ++behind) {
    PeImage image;
    image.append(Buffer(behind, 0xFF));
    const auto pe = image.decode().value();
    CHECK(pe.checksum == 0xC0FFEE);
    const auto wanted = checksum_by_definition(image.bytes);
    CHECK(codec::pe_checksum(*image.source(), pe).value() == wanted);
    for (const std::size_t step : {1u, 3u, 7u, 8u, 64u, 1021u}) {
      codec::PeChecksum sum;
      for (std::size_t at = 0; at < image.bytes.size(); at += step)
        sum.add(at, Bytes(image.bytes).subspan(at, std::min(step, image.bytes.size() - at)));
      sum.take_back(PeImage::checksum, Bytes(image.bytes).subspan(PeImage::checksum, 4));
      if (sum.value(image.bytes.size()) != wanted) FAIL("steps of " << step << ", " << behind << " bytes behind");
    }
  }
}
