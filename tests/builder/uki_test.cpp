// The UKI writer on small stubs made here; sbsign, sbverify and objdump judge it on real ones in tests/tool.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <functional>

#include "ingot/base/reader.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/builder/image.hpp"
#include "ingot/builder/process.hpp"
#include "ingot/codec/pe.hpp"

using namespace ingot;
using namespace ingot::builder;

namespace {

constexpr std::uint32_t kernel_image_size = 0x9000;
const std::string stub_magic = "#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####";
const std::string stub_sbat =
    "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\nsystemd-stub,1,The systemd "
    "Developers,systemd,257,x\n";

struct TinySection {
  std::string name;
  std::string content;
  std::uint32_t address = 0;
};
/// A PE32+ file with these sections, one after the other.
struct TinyPe {
  std::vector<TinySection> sections;
  std::uint32_t size_of_headers = 0x400;
  std::uint32_t file_alignment = 0x200;
  std::uint32_t section_alignment = 0x1000;
  std::uint32_t size_of_image = kernel_image_size;
  std::uint32_t certificate_offset = 0;
  std::uint32_t certificate_size = 0;

  Buffer encode() const {
    Writer out;
    out.text("MZ").fill(58).u32le(0x40);
    out.u32le(0x4550).u16le(0x8664).u16le(static_cast<std::uint16_t>(sections.size()));
    out.u32le(1700000000).u32le(77).u32le(3).u16le(240).u16le(0x206);
    out.u16le(0x20B).u16le(0).u32le(0x200).u32le(0x400).u32le(0).u32le(0x1000).u32le(0x1000).u64le(0);
    out.u32le(section_alignment).u32le(file_alignment).fill(16).u32le(size_of_image).u32le(size_of_headers);
    out.u32le(0xDEADBEEF).u16le(10).u16le(0).fill(32).u32le(0).u32le(16);
    for (int i = 0; i < 16; ++i) out.u32le(i == 4 ? certificate_offset : 0).u32le(i == 4 ? certificate_size : 0);
    std::uint32_t raw = size_of_headers;
    for (const auto& section : sections) {
      const auto size = static_cast<std::uint32_t>(section.content.size());
      const auto raw_size = (size + file_alignment - 1) / file_alignment * file_alignment;
      out.text(section.name)
          .fill(8 - section.name.size())
          .u32le(size)
          .u32le(section.address)
          .u32le(raw_size)
          .u32le(raw);
      out.fill(12).u32le(0x40000040);
      raw += raw_size;
    }
    out.fill(size_of_headers - out.size());
    for (const auto& section : sections) out.text(section.content).align(file_alignment);
    return out.fill(certificate_size).take();
  }
};

TinyPe tiny_stub() {
  return {{{".text", std::string(700, 'c'), 0x1000}, {".sbat", stub_sbat, 0x2000}, {".sdmagic", stub_magic, 0x3000}}};
}
Buffer tiny_kernel() { return TinyPe{{{".text", std::string(5000, 'k'), 0x1000}}}.encode(); }

UkiParts parts_with(Buffer stub) {
  UkiParts parts;
  parts.stub = memory_source(std::move(stub));
  parts.kernel = memory_source(tiny_kernel());
  parts.initrd = memory_source(Buffer(10001, 'i'));
  parts.os_release = "ID=debian\n";
  parts.command_line = "quiet roothash=00";
  parts.uname = "6.12";
  parts.pcr_public_key_pem = "-----BEGIN PUBLIC KEY-----\n";
  parts.pcr_signature_json = "{\"sha256\":[]}";
  return parts;
}

struct Written {
  SharedSource file;
  codec::Pe pe;
  std::string text(std::string_view name) const {
    const auto* section = pe.find(name);
    REQUIRE(section != nullptr);
    const auto bytes =
        read_part(*file, section->raw_offset, std::min(section->virtual_size, section->raw_size), 1u << 20).value();
    return std::string(as_text(bytes));
  }
};
Written write(const UkiParts& parts) {
  const auto folder = TemporaryFolder::create("/tmp", "ingot-uki-test-").value();
  const auto path = folder.path() + "/uki";
  const auto done = write_uki(parts, path);
  if (!done) FAIL(describe(done.error()));
  const auto file = memory_source(read_file(path, 16u << 20).value());
  return {file, codec::decode_pe(*file).value()};
}
Error refused(const UkiParts& parts) {
  const auto folder = TemporaryFolder::create("/tmp", "ingot-uki-test-").value();
  const auto done = write_uki(parts, folder.path() + "/uki");
  REQUIRE(!done);
  CHECK(!file_source(folder.path() + "/uki"));
  return done.error();
}

/// Size without content, for what must be refused before it is read.
class HugeSource final : public ByteSource {
 public:
  explicit HugeSource(std::uint64_t size) : size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t, MutableBytes) const override {
    return fail(ErrorCode::internal, "must not be read");
  }

 private:
  std::uint64_t size_;
};

}  // namespace

TEST_CASE("uki: every part becomes its section") {
  const auto parts = parts_with(tiny_stub().encode());
  const auto uki = write(parts);
  CHECK(uki.text(".osrel") == parts.os_release);
  CHECK(uki.text(".cmdline") == parts.command_line);
  CHECK(uki.text(".uname") == parts.uname);
  CHECK(uki.text(".pcrpkey") == parts.pcr_public_key_pem);
  CHECK(uki.text(".pcrsig") == parts.pcr_signature_json);
  CHECK(uki.text(".initrd") == std::string(10001, 'i'));
  CHECK(uki.text(".sbat") == stub_sbat);
  CHECK(uki.text(".sdmagic") == stub_magic);
  const auto kernel = tiny_kernel();
  CHECK(read_part(*uki.file, uki.pe.find(".linux")->raw_offset, kernel.size(), 1u << 20).value() == kernel);
  CHECK(uki.pe.find(".linux")->virtual_size == kernel_image_size);
  CHECK(uki.pe.find(".linux")->characteristics == 0x40000020);
  CHECK(uki.pe.find(".initrd")->characteristics == 0x40000040);
}

TEST_CASE("uki: parts that may be empty make no section") {
  auto parts = parts_with(tiny_stub().encode());
  parts.pcr_public_key_pem.clear();
  parts.pcr_signature_json.clear();
  const auto uki = write(parts);
  CHECK(uki.pe.find(".pcrpkey") == nullptr);
  CHECK(uki.pe.find(".pcrsig") == nullptr);
}

TEST_CASE("uki: the layout is what loaders and Authenticode expect") {
  auto stub = tiny_stub();
  stub.size_of_headers = GENERATE(0x200u, 0x400u, 0x600u);  // 0x200 holds 3 section headers: ours need more room
  stub.section_alignment = GENERATE(0x200u, 0x1000u);
  const auto uki = write(parts_with(stub.encode()));
  const auto& pe = uki.pe;
  CHECK(pe.file_size % 0x200 == 0);
  CHECK(pe.size_of_headers >= pe.section_table_offset + pe.sections.size() * 40);
  std::uint64_t raw_end = pe.size_of_headers;
  std::uint64_t memory_end = pe.size_of_headers;
  for (const auto& section : pe.sections) {
    CAPTURE(section.name);
    CHECK(section.raw_offset == raw_end);  // no gaps
    CHECK(section.raw_size % 0x200 == 0);
    CHECK(section.virtual_address >= memory_end);
    CHECK(section.virtual_address % pe.section_alignment == 0);
    raw_end += section.raw_size;
    memory_end = section.virtual_address + section.virtual_size;
  }
  CHECK(raw_end == pe.file_size);
  CHECK(pe.size_of_image >= memory_end);
  CHECK(pe.size_of_image % pe.section_alignment == 0);
  CHECK(pe.certificate_table_size == 0);
  const auto head = read_part(*uki.file, 0, 0x200, 0x200).value();
  const auto field = [&](std::size_t at) { return Reader(Bytes(head).subspan(at)).u32le(); };
  CHECK(field(0x48) == 1700000000);       // TimeDateStamp: the stub's
  CHECK(field(0x4C) == 0);                // PointerToSymbolTable
  CHECK(field(pe.checksum_offset) == 0);  // CheckSum
}

TEST_CASE("uki: SBAT lines follow the stub's own") {
  auto parts = parts_with(tiny_stub().encode());
  SECTION("in place") { parts.sbat = "ingot,1,Ingot,ingot,1,https://example.org\n"; }
  SECTION("larger than its place in the file") { parts.sbat = std::string(600, 'x') + "\n"; }
  SECTION("larger than its place in memory") { parts.sbat = std::string(0x1000, 'x') + "\n"; }
  const auto uki = write(parts);
  CHECK(uki.text(".sbat") == stub_sbat + parts.sbat);
  CHECK(uki.text(".sdmagic") == stub_magic);
  CHECK(uki.text(".text") == std::string(700, 'c'));
}

TEST_CASE("uki: SBAT lines for a stub without any get the header line") {
  auto stub = tiny_stub();
  stub.sections.erase(stub.sections.begin() + 1);
  auto parts = parts_with(stub.encode());
  parts.sbat = "ingot,1,Ingot,ingot,1,https://example.org\n";
  const auto uki = write(parts);
  CHECK(uki.text(".sbat").starts_with("sbat,1,SBAT Version,sbat,1,"));
  CHECK(uki.text(".sbat").ends_with(parts.sbat));
}

TEST_CASE("uki: the same parts give the same bytes") {
  const auto a = write(parts_with(tiny_stub().encode()));
  const auto b = write(parts_with(tiny_stub().encode()));
  CHECK(read_all(*a.file, 1u << 20).value() == read_all(*b.file, 1u << 20).value());
}

TEST_CASE("uki: bad parts are refused and leave no file") {
  struct Row {
    const char* name;
    std::function<void(UkiParts&)> change;
    ErrorCode code;
  };
  const auto stub_as = [](const std::function<void(TinyPe&)>& change) {
    return [change](UkiParts& parts) {
      auto stub = tiny_stub();
      change(stub);
      parts.stub = memory_source(stub.encode());
    };
  };
  const std::vector<Row> rows = {
      {"signed stub", stub_as([](TinyPe& pe) { pe.certificate_offset = 0xC00, pe.certificate_size = 64; }),
       ErrorCode::unsupported},
      {"stub without .sdmagic", stub_as([](TinyPe& pe) { pe.sections.pop_back(); }), ErrorCode::unsupported},
      {"systemd-boot instead of its stub",
       stub_as([](TinyPe& pe) { pe.sections[2].content = "#### LoaderInfo: systemd-boot 257 ####     "; }),
       ErrorCode::unsupported},
      {"a finished UKI as stub", stub_as([](TinyPe& pe) {
         pe.sections.push_back({".linux", "x", 0x4000});
       }),
       ErrorCode::unsupported},
      {"no room for section headers in memory", stub_as([](TinyPe& pe) {
         pe.size_of_headers = 0x200, pe.section_alignment = 0x200, pe.sections[0].address = 0x200;
       }),
       ErrorCode::unsupported},
      {"file alignment of 4", stub_as([](TinyPe& pe) { pe.file_alignment = 4; }), ErrorCode::unsupported},
      {"stub is not PE", [](UkiParts& parts) { parts.stub = memory_source(Buffer(4096, 'x')); }, ErrorCode::malformed},
      {"empty stub", [](UkiParts& parts) { parts.stub = memory_source({}); }, ErrorCode::malformed},
      {"kernel is not PE", [](UkiParts& parts) { parts.kernel = memory_source(Buffer(4096, 'x')); },
       ErrorCode::malformed},
      {"empty kernel", [](UkiParts& parts) { parts.kernel = memory_source({}); }, ErrorCode::malformed},
      {"empty initrd", [](UkiParts& parts) { parts.initrd = memory_source({}); }, ErrorCode::malformed},
      {"no initrd", [](UkiParts& parts) { parts.initrd = nullptr; }, ErrorCode::malformed},
      {"empty command line", [](UkiParts& parts) { parts.command_line.clear(); }, ErrorCode::malformed},
      {"NUL in the command line", [](UkiParts& parts) { parts.command_line[3] = '\0'; }, ErrorCode::malformed},
      {"empty os-release", [](UkiParts& parts) { parts.os_release.clear(); }, ErrorCode::malformed},
      {"empty uname", [](UkiParts& parts) { parts.uname.clear(); }, ErrorCode::malformed},
      {"initrd of 2 GiB", [](UkiParts& parts) { parts.initrd = std::make_shared<HugeSource>(0x80000000); },
       ErrorCode::limit},
      {"initrd that makes it 2 GiB", [](UkiParts& parts) { parts.initrd = std::make_shared<HugeSource>(0x7FFFF000); },
       ErrorCode::limit},
      {"initrd of 2^64 - 1", [](UkiParts& parts) { parts.initrd = std::make_shared<HugeSource>(UINT64_MAX); },
       ErrorCode::limit},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    auto parts = parts_with(tiny_stub().encode());
    row.change(parts);
    const auto error = refused(parts);
    CHECK(error.code == row.code);
    CHECK(!error.message.empty());
  }
}

TEST_CASE("uki: a stub truncated anywhere is refused") {
  const auto whole = tiny_stub().encode();
  for (std::size_t size = 0; size < whole.size(); size += size < 0x400 ? 1 : 61) {
    CAPTURE(size);
    const auto error = refused(parts_with(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
    CHECK(error.code == ErrorCode::malformed);
  }
}
