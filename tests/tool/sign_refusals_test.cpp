// PE files that are not signed, and say why: exit status 2, one error, nothing written.
#include "ingot/base/writer.hpp"
#include "sign_lab.hpp"

using namespace ingot;
using namespace ingot::test;
namespace fs = std::filesystem;

namespace {

void put32(Buffer& bytes, std::size_t at, std::uint32_t value) {
  const auto word = Writer{}.u32le(value).take();
  std::copy(word.begin(), word.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}
std::uint32_t get32(const Buffer& bytes, std::size_t at) {
  return bytes[at] | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 |
         std::uint32_t{bytes[at + 3]} << 24;
}
std::size_t optional_header(const Buffer& bytes) { return get32(bytes, 60) + 24; }
std::size_t checksum_at(const Buffer& bytes) { return optional_header(bytes) + 64; }
std::size_t directory_at(const Buffer& bytes) { return optional_header(bytes) + 144; }
std::size_t section_at(const Buffer& bytes, std::size_t n) { return optional_header(bytes) + 240 + n * 40; }

struct Row {
  const char* name;
  bool is_signed;  ///< the file that is damaged: sbsign's, or the plain one
  void (*damage)(Buffer&);
  const char* said;
};

const Row rows[] = {
    {"not a PE file", false, [](Buffer& b) { b[0] = 'X'; }, "does not start with \"MZ\""},
    {"cut in its headers", false, [](Buffer& b) { b.resize(200); }, "truncated"},
    {"cut in a section", false, [](Buffer& b) { b.resize(0x8000); }, "truncated: section"},
    {"sections that overlap in the file", false,
     [](Buffer& b) { put32(b, section_at(b, 1) + 20, get32(b, section_at(b, 0) + 20)); },
     "sections overlap in the file"},
    {"sections that overlap in memory", false,
     [](Buffer& b) { put32(b, section_at(b, 1) + 12, get32(b, section_at(b, 0) + 12)); }, "sections overlap in memory"},
    {"certificate table past the end", true, [](Buffer& b) { put32(b, directory_at(b) + 4, 0x10000); },
     "certificate table ends behind the end of the file"},
    {"certificate table that starts past the end", true, [](Buffer& b) { put32(b, directory_at(b), 0x7FFFFFF8); },
     "certificate table ends behind the end of the file"},
    {"bytes behind the certificate table", true, [](Buffer& b) { b.resize(b.size() + 8); },
     "bytes follow the certificate table"},
    {"certificate table before the end", true,
     [](Buffer& b) { put32(b, directory_at(b), get32(b, directory_at(b)) - 8); }, "bytes follow the certificate table"},
    {"certificate table not on 8 bytes", true,
     [](Buffer& b) {
       put32(b, directory_at(b), get32(b, directory_at(b)) - 4);
       put32(b, directory_at(b) + 4, get32(b, directory_at(b) + 4) + 4);
     },
     "not aligned to 8"},
    {"certificate table over a section", true,
     [](Buffer& b) {
       put32(b, directory_at(b), 0x8000);
       put32(b, directory_at(b) + 4, static_cast<std::uint32_t>(b.size()) - 0x8000);
     },
     "certificate table overlaps section"},
    {"an entry larger than the table", true,
     [](Buffer& b) { put32(b, get32(b, directory_at(b)), get32(b, directory_at(b) + 4) + 8); }, "certificate table"},
    {"an entry smaller than its header", true, [](Buffer& b) { put32(b, get32(b, directory_at(b)), 4); },
     "shorter than its own header"},
    {"entries that do not fill the table", true, [](Buffer& b) { put32(b, get32(b, directory_at(b)), 0x100); },
     "certificate table"},
    {"CheckSum of other bytes", false, [](Buffer& b) { put32(b, checksum_at(b), 0x1234); }, "CheckSum is 0x00001234"},
    {"a byte changed since CheckSum was made", false, [](Buffer& b) { b[0x2000] ^= 1; }, "it was damaged or changed"},
    {"a signed file changed after it was signed", true,
     [](Buffer& b) {
       b[0x2000] ^= 1;
       put32(b, checksum_at(b), 0);
     },
     "signature 1 is over other bytes"},
    {"32 bits", false, [](Buffer& b) { b[optional_header(b)] = 0x0B, b[optional_header(b) + 1] = 0x01; }, "32-bit"},
};

}  // namespace

TEST_CASE("sign pe: malformed files are refused whole, with what is wrong") {
  const SignLab lab;
  for (const auto* name : {"db", "old"}) lab.make_signer(name);
  lab.sbsign(plain_pe, "old", lab.at("signed"));
  const auto plain = bytes_of(plain_pe), already = bytes_of(lab.at("signed"));
  fs::create_directory(lab.at("out"));
  for (const auto& row : rows) {
    INFO(row.name);
    auto bytes = row.is_signed ? already : plain;
    row.damage(bytes);
    REQUIRE(write_file(lab.at("in"), bytes));
    const auto done = lab.ingot({"sign", "pe", lab.at("in"), "--add", "--key", lab.at("db.key"), "--certificate",
                                 lab.at("db.crt"), "--out", lab.at("out/file")});
    INFO(done.error_tail);
    CHECK(done.exit_code == 2);
    CHECK(done.error_tail.find(row.said) != std::string::npos);
    CHECK(std::count(done.error_tail.begin(), done.error_tail.end(), '\n') <= 1);
    CHECK(fs::is_empty(lab.at("out")));
    CHECK(bytes_of(lab.at("in")) == bytes);
  }
  // A CheckSum that nobody set is no damage.
  auto unset = plain;
  put32(unset, checksum_at(unset), 0);
  REQUIRE(write_file(lab.at("in"), unset));
  lab.sign(lab.at("in"), "db", lab.at("out/file"));
  CHECK(lab.sbverifies(lab.at("out/file"), "db"));
}

TEST_CASE("sign pe: what must be said is asked for") {
  const SignLab lab;
  for (const auto* name : {"db", "other"}) lab.make_signer(name);
  lab.sign(plain_pe, "db", lab.at("signed"));
  const auto refused = [&](std::vector<std::string> more, int status, const std::string& said) {
    std::vector<std::string> words = {"sign", "pe", lab.at("signed"), "--out", lab.at("out")};
    words.insert(words.end(), more.begin(), more.end());
    const auto done = lab.ingot(words);
    INFO(done.error_tail);
    CHECK(done.exit_code == status);
    CHECK(done.error_tail.find(said) != std::string::npos);
    CHECK_FALSE(fs::exists(lab.at("out")));
  };
  const auto key = lab.at("db.key"), certificate = lab.at("db.crt");
  refused({"--key", key, "--certificate", certificate}, 2, "already signed");
  refused({"--key", key, "--certificate", certificate, "--add"}, 2, "by the same certificate already");
  refused({"--key", key, "--certificate", certificate, "--add", "--replace"}, 3, "excludes");
  refused({"--key", key, "--certificate", lab.at("other.crt"), "--add"}, 2, "does not belong");
  refused({"--key", key, "--add"}, 3, "--certificate");
}
