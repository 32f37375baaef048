#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <limits>

#include "ingot/base/guid.hpp"
#include "ingot/base/output.hpp"
#include "ingot/base/reader.hpp"
#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"

using namespace ingot;
namespace fs = std::filesystem;

namespace {

/// A folder of this test run, removed behind it.
struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "ingot-base-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Scratch() { fs::remove_all(path); }
  [[nodiscard]] std::string operator/(const char* name) const { return (path / name).string(); }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};

Buffer content(const std::string& path) { return read_file(path, 1u << 20).value(); }

}  // namespace

TEST_CASE("reader: numbers of every size, both orders") {
  const Buffer bytes = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29};
  Reader in{bytes};
  CHECK(in.u8() == 1);
  CHECK(in.u16le() == 0x0302);
  CHECK(in.u32le() == 0x07060504);
  CHECK(in.u64le() == 0x0F0E0D0C0B0A0908);
  CHECK(in.u16be() == 0x1011);
  CHECK(in.u32be() == 0x12131415);
  CHECK(in.u64be() == 0x161718191A1B1C1D);
  CHECK(in.left() == 0);
  CHECK(in.finish(1));
}

TEST_CASE("reader: a number with its highest bit set stays itself") {
  const Buffer bytes(16, 0xFF);
  Reader in{bytes};
  CHECK(in.u64le() == std::numeric_limits<std::uint64_t>::max());
  CHECK(in.u32be() == 0xFFFFFFFF);
  CHECK(in.u16le() == 0xFFFF);
  CHECK(in.u8() == 0xFF);
}

TEST_CASE("reader: the first failure sticks and is told with its place") {
  const Buffer bytes = {1, 2, 3};
  Reader in{bytes};
  in.skip(2);
  CHECK(in.u32le() == 0);
  CHECK(in.u8() == 0);  // one byte is left, but the cursor has failed
  CHECK_FALSE(in.ok());
  in.fail_with("later");
  const auto result = in.finish(0);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::malformed);
  CHECK(result.error().offset_bytes == 2u);
  CHECK(result.error().message == "truncated: 4 bytes wanted, 1 left");
}

TEST_CASE("reader: sizes near the top of 64 bits do not wrap") {
  const Buffer bytes(8);
  Reader in{bytes};
  in.skip(4);
  CHECK(in.bytes(std::numeric_limits<std::uint64_t>::max()).empty());
  CHECK_FALSE(in.ok());
}

TEST_CASE("reader: finish tells trailing bytes, finish_prefix allows them") {
  const Buffer bytes = {1, 2, 3};
  Reader in{bytes};
  in.skip(1);
  REQUIRE_FALSE(in.finish(0));
  CHECK(in.finish(0).error().message == "2 trailing bytes after the end");
  CHECK(in.finish(0).error().offset_bytes == 1u);
  CHECK(in.finish_prefix(0));
}

TEST_CASE("reader: a part has bounds of its own") {
  const Buffer bytes = {1, 2, 3, 4};
  Reader in{bytes};
  auto part = in.sub(2);
  CHECK(part.u32le() == 0);
  CHECK_FALSE(part.ok());
  CHECK(in.ok());
  CHECK(in.u16le() == 0x0403);
  auto missing = in.sub(1);
  CHECK_FALSE(in.ok());
  CHECK(missing.left() == 0);
}

TEST_CASE("reader: what is said against the input is the error") {
  Reader in{Bytes{}};
  in.fail_with("no such kind");
  CHECK(in.finish(0).error().message == "no such kind");
}

TEST_CASE("writer: what it writes the reader reads") {
  Writer out;
  out.u8(1)
      .u16le(2)
      .u32le(3)
      .u64le(0x1122334455667788)
      .u16be(5)
      .u32be(6)
      .u64be(7)
      .text("ab")
      .fill(2, 9)
      .align(16, 0xEE);
  CHECK(out.size() == 48);
  out.put_u32le(3, 0xCAFE);
  out.put_u16be(1, 0x0102);
  const Buffer bytes = out.take();
  Reader in{bytes};
  CHECK(in.u8() == 1);
  CHECK(in.u16le() == 0x0201);
  CHECK(in.u32le() == 0xCAFE);
  CHECK(in.u64le() == 0x1122334455667788);
  CHECK(in.u16be() == 5);
  CHECK(in.u32be() == 6);
  CHECK(in.u64be() == 7);
  CHECK(as_text(in.bytes(2)) == "ab");
  CHECK(in.u16le() == 0x0909);
  const Bytes padding = in.rest();
  CHECK(to_buffer(padding) == Buffer(15, 0xEE));
}

TEST_CASE("writer: nothing is added when it is aligned already") {
  CHECK(Writer{}.align(8).size() == 0);
  CHECK(Writer{}.fill(8).align(8).size() == 8);
}

TEST_CASE("hex: both cases are read, lower case is written") {
  CHECK(to_hex(Buffer{0x00, 0xAB, 0xFF}) == "00abff");
  CHECK(parse_hex("00ABff") == Buffer{0x00, 0xAB, 0xFF});
  CHECK(parse_hex("") == Buffer{});
  for (const char* bad : {"0", "0g", "0x00", " 00", "00 ", "0\n", "é0"}) {
    INFO(bad);
    CHECK_FALSE(parse_hex(bad));
  }
}

TEST_CASE("base64: the vectors of RFC 4648, Test Vectors") {
  const std::pair<const char*, const char*> rows[] = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, encoded] : rows) {
    CHECK(to_base64(as_bytes(text)) == encoded);
    CHECK(parse_base64(encoded) == to_buffer(as_bytes(text)));
  }
}

TEST_CASE("base64: every byte value survives") {
  Buffer bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  CHECK(parse_base64(to_base64(bytes)) == bytes);
}

TEST_CASE("base64: a text that is not the one encoding is refused") {
  const std::pair<const char*, const char*> rows[] = {{"no padding", "Zg"},
                                                      {"too little padding", "Zg="},
                                                      {"too much padding", "Z==="},
                                                      {"padding only", "===="},
                                                      {"padding inside", "Zg==Zg=="},
                                                      {"padding in the middle", "Z=g="},
                                                      {"bits behind the end", "Zh=="},
                                                      {"bits behind the end, two bytes", "Zm9="},
                                                      {"a line break", "Zm9v\nZm9v"},
                                                      {"a space", "Zm9 "},
                                                      {"the URL-safe alphabet", "-_-_"},
                                                      {"no ASCII", "Zm\xC3\xA9"}};
  for (const auto& [name, text] : rows) {
    INFO(name);
    CHECK_FALSE(parse_base64(text));
  }
}

TEST_CASE("utf-16: both ways, with characters of one to four bytes") {
  const std::string text = "aé€😀";
  const Buffer wide = {0x61, 0, 0xE9, 0, 0xAC, 0x20, 0x3D, 0xD8, 0x00, 0xDE};
  CHECK(to_utf16le(text) == wide);
  CHECK(from_utf16le(wide) == text);
  const std::string edges = std::string("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
  CHECK(from_utf16le(to_utf16le(edges)) == edges);
  CHECK(to_utf16le(std::string_view("a\0b", 3)).size() == 6);
}

TEST_CASE("utf-16: what is no text becomes U+FFFD and stays harmless") {
  const std::pair<const char*, const char*> utf8_rows[] = {
      {"a continuation alone", "\x80"}, {"an overlong NUL", "\xC0\x80"},        {"an overlong slash", "\xE0\x80\xAF"},
      {"a surrogate", "\xED\xA0\x80"},  {"above U+10FFFF", "\xF4\x90\x80\x80"}, {"cut off", "\xE2\x82"},
      {"no lead byte at all", "\xFF"}};
  for (const auto& [name, text] : utf8_rows) {
    INFO(name);
    const auto wide = to_utf16le(text);
    REQUIRE(wide.size() >= 2);
    CHECK(wide[0] == 0xFD);
    CHECK(wide[1] == 0xFF);
  }
  CHECK(to_utf16le("\x80z") == Buffer{0xFD, 0xFF, 'z', 0});

  const std::pair<const char*, Buffer> utf16_rows[] = {
      {"a high surrogate at the end", {0x3D, 0xD8}}, {"a low surrogate alone", {0x00, 0xDE}}, {"an odd byte", {0x61}}};
  for (const auto& [name, bytes] : utf16_rows) {
    INFO(name);
    CHECK(from_utf16le(bytes) == "\xEF\xBF\xBD");
  }
  CHECK(from_utf16le(Buffer{0x3D, 0xD8, 0x61, 0}) ==
        "\xEF\xBF\xBD"
        "a");
}

TEST_CASE("guid: the text form's first three fields are little-endian in storage") {
  // UEFI 2.10, Appendix A; EFI_GLOBAL_VARIABLE.
  const Guid guid =
      guid_from(Buffer{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11, 0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C});
  CHECK(to_text(guid) == "8be4df61-93ca-11d2-aa0d-00e098032b8c");
  CHECK(parse_guid("8BE4DF61-93CA-11d2-AA0D-00E098032B8C") == guid);
  CHECK(make_guid("8be4df61-93ca-11d2-aa0d-00e098032b8c") == guid);
  CHECK(guid_from_big_endian(big_endian(guid)) == guid);
  CHECK(to_hex(big_endian(guid)) == "8be4df6193ca11d2aa0d00e098032b8c");
}

TEST_CASE("guid: other texts are refused") {
  for (const char* bad : {"", "8be4df61-93ca-11d2-aa0d-00e098032b8", "8be4df61-93ca-11d2-aa0d-00e098032b8c0",
                          "8be4df6193ca-11d2-aa0d-00e098032b8c-", "8be4df61-93ca-11d2-aa0d-00e09803-b8c",
                          "{be4df61-93ca-11d2-aa0d-00e098032b8}", "8be4df61-93ca-11d2-aa0d-00e098032bxx"}) {
    INFO(bad);
    CHECK_FALSE(parse_guid(bad));
  }
}

TEST_CASE("guid: a derived one is version 8 of the RFC's variant and keeps the other bits") {
  CHECK(to_text(derive_guid(Buffer(32, 0xFF))) == "ffffffff-ffff-8fff-bfff-ffffffffffff");
  CHECK(to_text(derive_guid(Buffer(32, 0x00))) == "00000000-0000-8000-8000-000000000000");
}

TEST_CASE("errors: one line with place, message and remedy; exit status by the contract") {
  Error error{ErrorCode::malformed, "bad value", "use another", 7, TextLocation{"a.toml", 3, 9}};
  CHECK(describe(error) == "a.toml:3:9: bad value (at byte 7); use another");
  CHECK(std::move(error).in("profile").message == "profile: bad value");
  CHECK(exit_status(ErrorCode::malformed) == 2);
  CHECK(exit_status(ErrorCode::crypto) == 2);
  CHECK(exit_status(ErrorCode::usage) == 3);
  CHECK(exit_status(ErrorCode::missing) == 3);
  CHECK(io_error("opening x", ENOENT).code == ErrorCode::missing);
  CHECK_FALSE(io_error("writing x", ENOSPC).remedy.empty());
}

TEST_CASE("source: memory, file and slice give the same bytes and keep their bounds") {
  const Scratch scratch;
  Buffer bytes(10000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  REQUIRE(write_file(scratch / "f", bytes));
  const auto file = file_source(scratch / "f").value();
  const auto memory = memory_source(bytes);
  CHECK(read_all(*file, 10000).value() == bytes);
  CHECK(read_all(*memory, 10000).value() == bytes);
  CHECK(read_all(*memory, 9999).error().code == ErrorCode::limit);
  constexpr auto top = std::numeric_limits<std::uint64_t>::max();
  for (const auto& source : {file, memory, slice_source(file, 0, 10000).value()}) {
    CHECK(read_part(*source, 9990, 10, 10).value() == Buffer(bytes.end() - 10, bytes.end()));
    CHECK(read_part(*source, 9990, 11, 11).error().code == ErrorCode::malformed);
    CHECK_FALSE(read_part(*source, top, 1, 1));
    CHECK_FALSE(read_part(*source, top - 4, 8, 8));
    CHECK(read_part(*source, 10000, 0, 0).value().empty());
  }
  CHECK_FALSE(slice_source(memory, 9999, 2));
  CHECK_FALSE(slice_source(memory, 1, top));
  const auto slice = slice_source(memory, 100, 50).value();
  CHECK(read_all(*slice, 50).value() == Buffer(bytes.begin() + 100, bytes.begin() + 150));
  CHECK_FALSE(read_part(*slice, 40, 11, 11));
}

TEST_CASE("source: joined parts read as one file with zeros between them") {
  const auto part = [](std::size_t size, std::uint8_t value) { return memory_source(Buffer(size, value)); };
  const auto joined =
      joined_source({{0, part(10, 1)}, {10, part(5, 2)}, {20, part(0, 9)}, {30, part(3, 3)}}, 40).value();
  Buffer whole(40);
  std::fill_n(whole.begin(), 10, std::uint8_t{1});
  std::fill_n(whole.begin() + 10, 5, std::uint8_t{2});
  std::fill_n(whole.begin() + 30, 3, std::uint8_t{3});
  for (std::size_t from = 0; from <= whole.size(); ++from)
    for (std::size_t to = from; to <= whole.size(); ++to)
      CHECK(read_part(*joined, from, to - from, 40).value() ==
            Buffer(whole.begin() + static_cast<std::ptrdiff_t>(from), whole.begin() + static_cast<std::ptrdiff_t>(to)));
  CHECK_FALSE(read_part(*joined, 39, 2, 40));
  CHECK(joined_source({}, 3).value()->size() == 3);
  CHECK_FALSE(joined_source({{0, part(10, 1)}, {9, part(1, 1)}}, 40));
  CHECK_FALSE(joined_source({{5, part(10, 1)}}, 14));
  CHECK_FALSE(joined_source({{15, part(0, 1)}}, 14));
}

TEST_CASE("source: chunks come in order, and the sink's error ends them") {
  const auto source = memory_source(Buffer(2500000, 3));
  std::uint64_t seen = 0;
  std::size_t calls = 0;
  REQUIRE(for_each_chunk(*source, 1, 2499999, [&](Bytes chunk) -> Result<void> {
    CHECK(chunk.size() <= 1u << 20);
    seen += chunk.size();
    ++calls;
    return {};
  }));
  CHECK(seen == 2499999);
  CHECK(calls == 3);
  const auto stopped =
      for_each_chunk(*source, 0, 2500000, [](Bytes) -> Result<void> { return fail(ErrorCode::timeout, "enough"); });
  CHECK(stopped.error().code == ErrorCode::timeout);
}

TEST_CASE("source: what cannot be read says why") {
  const Scratch scratch;
  CHECK(file_source(scratch / "none").error().code == ErrorCode::missing);
  CHECK(file_source(scratch.path.string()).error().code == ErrorCode::io);
  CHECK(read_file(scratch / "none", 1).error().code == ErrorCode::missing);
  REQUIRE(write_file(scratch / "big", Buffer(100)));
  CHECK(read_file(scratch / "big", 99).error().code == ErrorCode::limit);
  CHECK(read_file(scratch / "big", 100).value().size() == 100);
  // A file that shrinks behind our back is an error, not zeros.
  const auto source = file_source(scratch / "big").value();
  REQUIRE(::truncate((scratch / "big").c_str(), 10) == 0);
  CHECK(read_part(*source, 0, 100, 100).error().code == ErrorCode::io);
}

TEST_CASE("source: holes read as zeros, and a file that became shorter is no hole") {
  const Scratch scratch;
  constexpr std::uint64_t size = 3u << 20, at = (1u << 20) + 5;
  auto out = OutputFile::create(scratch / "sparse").value();
  REQUIRE(out.truncate(size));
  REQUIRE(out.write_at(at, Buffer{1, 2, 3}));
  REQUIRE(out.commit());
  Buffer expected(size);
  for (std::uint8_t i = 0; i < 3; ++i) expected[at + i] = static_cast<std::uint8_t>(i + 1);
  const auto source = file_source(scratch / "sparse").value();
  CHECK(read_all(*source, size).value() == expected);
  CHECK(read_part(*source, at + 1, 1u << 20, size).value() ==
        Buffer(expected.begin() + at + 1, expected.begin() + at + 1 + (1u << 20)));
  fs::resize_file(scratch / "sparse", 2u << 20);
  CHECK(read_part(*source, 1u << 20, 1u << 20, size).value() ==
        Buffer(expected.begin() + (1u << 20), expected.begin() + (2u << 20)));
  const auto shorter = read_all(*source, size);
  REQUIRE_FALSE(shorter);
  CHECK(shorter.error().code == ErrorCode::io);
}

TEST_CASE("source: files of /proc, which say that they are empty, are read whole") {
  CHECK_FALSE(read_file("/proc/self/status", 1u << 20).value().empty());
}

TEST_CASE("output: of many new files each is whole or absent, and none replaces another") {
  const Scratch scratch;
  const auto drafts = [&](const std::vector<std::string>& names) {
    std::vector<OutputFile> files;
    for (const auto& name : names) {
      files.push_back(OutputFile::create(scratch / name.c_str(), 0600).value());
      REQUIRE(files.back().write(as_bytes(name)));
    }
    return files;
  };
  const auto text_of = [&](const std::string& name) {
    const auto file = read_file(scratch / name.c_str(), 100);
    return file ? std::string(as_text(*file)) : std::string("absent");
  };
  REQUIRE(commit_all_new({}));
  REQUIRE(commit_all_new(drafts({"one"})));
  REQUIRE(commit_all_new(drafts({"two", "three"})));
  CHECK(scratch.entries() == 3);
  CHECK(text_of("three") == "three");
  REQUIRE(write_file(scratch / "taken", as_bytes("old")));
  const auto refused = commit_all_new(drafts({"four", "taken", "five"}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::usage);
  CHECK(text_of("four") == "four");
  CHECK(text_of("taken") == "old");
  CHECK(text_of("five") == "absent");
  CHECK(scratch.entries() == 5);  // no drafts
}

TEST_CASE("output: nothing under the final name before commit, nothing left behind without it") {
  const Scratch scratch;
  REQUIRE(write_file(scratch / "f", as_bytes("old")));
  {
    auto file = OutputFile::create(scratch / "f").value();
    REQUIRE(file.write(as_bytes("new")));
    CHECK(content(scratch / "f") == to_buffer(as_bytes("old")));
    CHECK(scratch.entries() == 2);
    CHECK(fs::path(file.temporary_path()).parent_path() == scratch.path);
  }
  CHECK(scratch.entries() == 1);
  CHECK(content(scratch / "f") == to_buffer(as_bytes("old")));
  auto file = OutputFile::create(scratch / "f").value();
  REQUIRE(file.write(as_bytes("ne")));
  REQUIRE(file.write(as_bytes("w")));
  auto moved = std::move(file);
  REQUIRE(moved.commit());
  CHECK(scratch.entries() == 1);
  CHECK(content(scratch / "f") == to_buffer(as_bytes("new")));
}

TEST_CASE("output: the mode is exact, whatever the umask") {
  const Scratch scratch;
  for (const mode_t mask : {0000u, 0077u, 0777u}) {
    const mode_t before = ::umask(mask);
    REQUIRE(write_file(scratch / "f", as_bytes("x"), 0640));
    ::umask(before);
    struct stat info {};
    REQUIRE(::stat((scratch / "f").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0640);
  }
}

TEST_CASE("output: a link is replaced, not followed") {
  const Scratch scratch;
  REQUIRE(write_file(scratch / "target", as_bytes("safe")));
  fs::create_symlink(scratch / "target", scratch / "link");
  REQUIRE(write_file(scratch / "link", as_bytes("new")));
  CHECK(content(scratch / "target") == to_buffer(as_bytes("safe")));
  CHECK_FALSE(fs::is_symlink(scratch / "link"));
}

TEST_CASE("output: a folder that is not there is missing, and one in the way is an error that leaves nothing") {
  const Scratch scratch;
  CHECK(OutputFile::create(scratch / "no/f").error().code == ErrorCode::missing);
  fs::create_directory(scratch / "d");
  CHECK_FALSE(write_file(scratch / "d", as_bytes("x")));
  CHECK(scratch.entries() == 1);
}

TEST_CASE("output: a copy keeps every byte, its holes and its end") {
  struct Row {
    const char* name;
    std::vector<std::pair<std::size_t, std::size_t>> filled;  ///< ranges with content
    std::size_t size;
  };
  const Row rows[] = {{"empty", {}, 0},
                      {"zeros only", {}, 3u << 20},
                      {"zeros at the end, not of a whole page", {{0, 5}}, (2u << 20) + 77},
                      {"content across a chunk's border", {{(1u << 20) - 3, (1u << 20) + 5000}}, 2u << 20},
                      {"content in the last byte", {{99999, 100000}}, 100000},
                      {"pages by turns", {{0, 4096}, {8192, 12288}, {20479, 20481}}, 40960}};
  for (const auto& row : rows) {
    INFO(row.name);
    const Scratch scratch;
    Buffer bytes(row.size);
    for (const auto& [first, last] : row.filled)
      for (std::size_t i = first; i < last; ++i) bytes[i] = static_cast<std::uint8_t>(i % 251 + 1);
    auto file = OutputFile::create(scratch / "f").value();
    REQUIRE(file.write_at(0, as_bytes("head")));
    REQUIRE(file.copy_at(8192, *memory_source(bytes)));
    REQUIRE(file.commit());
    const auto written = read_file(scratch / "f", 8u << 20).value();
    REQUIRE(written.size() == 8192 + row.size);
    CHECK(std::equal(bytes.begin(), bytes.end(), written.begin() + 8192));
    struct stat info {};
    REQUIRE(::stat((scratch / "f").c_str(), &info) == 0);
    std::size_t filled = 0;
    for (const auto& [first, last] : row.filled) filled += last - first;
    CHECK(static_cast<std::size_t>(info.st_blocks) * 512 <= filled + 8 * 4096);
  }
}

TEST_CASE(
    "output: a part of a source goes to its own place, from a file of this or another file system, or from memory") {
  const Scratch scratch;
  constexpr std::uint64_t at = 4095, size = (2u << 20) + 7;
  Buffer bytes(at + size + 100);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i % 251);
  REQUIRE(write_file(scratch / "here", bytes));
  const std::string elsewhere = fmt::format("/dev/shm/ingot-base-{}", ::getpid());
  REQUIRE(write_file(elsewhere, bytes));
  for (const auto& source :
       {file_source(scratch / "here").value(), file_source(elsewhere).value(), memory_source(bytes)}) {
    auto file = OutputFile::create(scratch / "f").value();
    REQUIRE(file.copy_part(*source, at, size));
    REQUIRE(file.commit(Durability::cached));
    const auto written = read_file(scratch / "f", 8u << 20).value();
    REQUIRE(written.size() == at + size);
    CHECK(std::equal(written.begin() + at, written.end(), bytes.begin() + at));
    CHECK(std::all_of(written.begin(), written.begin() + at, [](auto byte) { return byte == 0; }));
  }
  const auto source = file_source(elsewhere).value();
  fs::resize_file(elsewhere, 5000);
  auto file = OutputFile::create(scratch / "g").value();
  const auto shorter = file.copy_part(*source, at, size);
  fs::remove(elsewhere);
  REQUIRE_FALSE(shorter);
  CHECK(shorter.error().code == ErrorCode::io);
}

TEST_CASE("output: a write that the system refuses is an error, and the half-written file goes away") {
  const Scratch scratch;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const struct rlimit small { 4096, before.rlim_max };
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto result = write_file(scratch / "f", Buffer(8192));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::io);
  CHECK(result.error().message.find("f: ") != std::string::npos);
  CHECK(scratch.entries() == 0);
}
