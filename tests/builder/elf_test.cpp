#include "../../builder/image/elf.hpp"

#include <catch2/catch.hpp>

#include "ingot/base/writer.hpp"

using namespace ingot;
using namespace ingot::builder::detail;

namespace {

/// A small ELF-64 file: PT_LOAD over everything, PT_INTERP, PT_DYNAMIC with two libraries and a search path.
struct TinyElf {
  std::uint8_t elf_class = 2;
  std::uint8_t encoding = 1;
  std::uint64_t load_address = 0x1000;
  std::uint64_t strings_address = 0x1000 + 400;
  std::uint64_t strings_size = 48;
  std::uint64_t first_needed = 1;
  std::uint16_t program_header_size = 56;
  std::uint16_t program_header_count = 3;
  std::uint64_t dynamic_size = 7 * 16;
  std::uint64_t search_tag = 29;

  static void program_header(Writer& out, std::uint32_t type, std::uint64_t offset, std::uint64_t address,
                             std::uint64_t size) {
    out.u32le(type).u32le(4).u64le(offset).u64le(address).u64le(address).u64le(size).u64le(size).u64le(8);
  }
  Buffer encode() const {
    Writer out;
    out.text("\177ELF").u8(elf_class).u8(encoding).u8(1).fill(9);
    out.u16le(3).u16le(62).u32le(1).u64le(0).u64le(64).u64le(0).u32le(0).u16le(64);
    out.u16le(program_header_size).u16le(program_header_count).u16le(0).u16le(0).u16le(0);
    program_header(out, 1, 0, load_address, 448);
    program_header(out, 3, 240, load_address + 240, 16);
    program_header(out, 2, 256, load_address + 256, dynamic_size);
    out.fill(240 - out.size()).text("/lib64/ld-x.so").fill(2);
    out.u64le(1).u64le(first_needed).u64le(1).u64le(11).u64le(5).u64le(strings_address).u64le(10).u64le(strings_size);
    out.u64le(search_tag).u64le(21).u64le(0).u64le(0).u64le(0).u64le(0);
    out.fill(400 - out.size())
        .u8(0)
        .text("libone.so")
        .u8(0)
        .text("libtwo.so")
        .u8(0)
        .text("$ORIGIN/../x:/usr/lib/y")
        .u8(0);
    return out.fill(448 - out.size()).take();
  }
};

Result<std::optional<ElfNeeds>> read(Buffer bytes) { return read_elf(*memory_source(std::move(bytes))); }

}  // namespace

TEST_CASE("elf: interpreter, libraries and search path") {
  const auto tag = GENERATE(std::uint64_t{29}, std::uint64_t{15});  // DT_RUNPATH, DT_RPATH
  const auto needs = read(TinyElf{.search_tag = tag}.encode());
  REQUIRE(needs);
  REQUIRE(*needs);
  CHECK((*needs)->interpreter == "/lib64/ld-x.so");
  CHECK((*needs)->libraries == std::vector<std::string>{"libone.so", "libtwo.so"});
  CHECK((*needs)->search == std::vector<std::string>{"$ORIGIN/../x", "/usr/lib/y"});
}

TEST_CASE("elf: other files are not ELF") {
  for (const auto* text : {"", "\177EL", "#!/bin/sh\n", "MZ"}) {
    const auto needs = read(to_buffer(as_bytes(text)));
    REQUIRE(needs);
    CHECK(!*needs);
  }
}

TEST_CASE("elf: every prefix is either not ELF or an error, never a wrong answer") {
  const auto whole = TinyElf{}.encode();
  const auto expected = read(whole).value().value();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const auto needs = read(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size < 4) {
      CHECK((needs && !*needs));
    } else if (needs && *needs) {
      // The file's last bytes are padding of the string table: what is read before them may be complete.
      CHECK(size >= 400);
      CHECK(**needs == expected);
    }
  }
}

TEST_CASE("elf: malformed files are refused") {
  struct Row {
    const char* name;
    TinyElf elf;
    ErrorCode code;
  };
  const std::vector<Row> rows = {
      {"32-bit", {.elf_class = 1}, ErrorCode::unsupported},
      {"big-endian", {.encoding = 2}, ErrorCode::unsupported},
      {"string table below every segment", {.strings_address = 0}, ErrorCode::malformed},
      {"string table behind the segment", {.strings_address = 0x1000 + 449}, ErrorCode::malformed},
      {"string table longer than the segment", {.strings_size = UINT64_MAX}, ErrorCode::malformed},
      {"library name outside the string table", {.first_needed = 48}, ErrorCode::malformed},
      {"library name far outside", {.first_needed = UINT64_MAX}, ErrorCode::malformed},
      {"program headers of another size", {.program_header_size = 32}, ErrorCode::malformed},
      {"program headers behind the end", {.program_header_count = 65535}, ErrorCode::malformed},
      {"dynamic section over the cap", {.dynamic_size = UINT64_MAX}, ErrorCode::limit},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    const auto needs = read(row.elf.encode());
    REQUIRE(!needs);
    CHECK(needs.error().code == row.code);
  }
}

TEST_CASE("elf: one changed byte never crashes the reader") {
  const auto whole = TinyElf{}.encode();
  for (std::size_t at = 4; at < whole.size(); ++at)
    for (const int flip : {0x01, 0x80, 0xFF}) {
      auto bytes = whole;
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ flip);
      (void)read(std::move(bytes));
    }
  SUCCEED();
}
