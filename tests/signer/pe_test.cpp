// Signing PE files, as far as it needs no tool; what others say of the result is in tests/tool/sign_pe_test.cpp.
#include "ingot/signer/pe.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/crypto/authenticode.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/measure/uki.hpp"
#include "verifier/pe_image.hpp"

using namespace ingot;
using namespace ingot::signer;
using test::PeImage;
namespace fs = std::filesystem;

namespace {

/// Keys and a folder for what is written.
struct Bench {
  std::string path = (fs::temp_directory_path() / ("ingot-pe-" + to_hex(crypto::random_bytes(8)))).string();
  std::string out = path + "/out";
  Bench() {
    fs::create_directories(out);
    const auto keys = init_keys(path + "/keys").value();
    db.emplace(SigningKey::load(keys.key("db"), keys.certificate("db")).value());
    kek.emplace(SigningKey::load(keys.key("KEK"), keys.certificate("KEK")).value());
    ed25519.emplace(SigningKey::load(keys.key("baseline")).value());
  }
  ~Bench() { fs::remove_all(path); }
  std::optional<SigningKey> db, kek, ed25519;
};

/// With CheckSum not set, as our own UKIs have it.
PeImage image_of(std::size_t behind = 0) {
  PeImage image;
  image.put32(PeImage::checksum, 0);
  image.append(Buffer(behind, 0x77));
  return image;
}

SharedSource signed_by(const SharedSource& file, const SigningKey& key, const std::string& path,
                       OldSignatures old = OldSignatures::refuse) {
  PeSigning how;
  how.signatures = old;
  const auto done = sign_pe(file, key, path, how);
  if (!done) FAIL(describe(done.error()));
  return file_source(path).value();
}

std::vector<Buffer> signatures(const ByteSource& file) {
  return codec::pe_signatures(file, codec::decode_pe(file).value()).value();
}

}  // namespace

TEST_CASE("sign: adding, replacing and taking away leave what they say, and CheckSum fits each time") {
  const Bench bench;
  for (const std::size_t behind : {0u, 1u, 7u, 8u}) {
    INFO(behind << " bytes behind");
    const auto plain = image_of(behind);
    const auto one = signed_by(plain.source(), *bench.db, bench.out + "/1");
    const auto two = signed_by(one, *bench.kek, bench.out + "/2", OldSignatures::keep);
    const auto anew = signed_by(two, *bench.kek, bench.out + "/3", OldSignatures::replace);
    CHECK(signatures(*one).size() == 1);
    REQUIRE(signatures(*two).size() == 2);
    CHECK(signatures(*two).front() == signatures(*one).front());
    CHECK(signatures(*anew).size() == 1);
    CHECK(crypto::verify_authenticode(signatures(*two).front(), bench.db->certificate().value()));
    CHECK(crypto::verify_authenticode(signatures(*two).back(), bench.kek->certificate().value()));
    REQUIRE(remove_signature(two, 2, bench.out + "/4"));
    CHECK(read_file(bench.out + "/4", 1u << 20).value() == read_all(*one, 1u << 20).value());
    REQUIRE(strip_pe(two, bench.out + "/5"));
    auto bare = plain.bytes;
    bare.resize((bare.size() + 7) / 8 * 8);
    auto stripped = read_file(bench.out + "/5", 1u << 20).value();
    for (const auto* name : {"/1", "/2", "/3", "/4", "/5"}) {
      const auto file = file_source(bench.out + name).value();
      const auto pe = codec::decode_pe(*file).value();
      CHECK(pe.checksum == codec::pe_checksum(*file, pe).value());
    }
    std::fill_n(stripped.begin() + PeImage::checksum, 4, std::uint8_t{0});
    CHECK(stripped == bare);
  }
}

TEST_CASE("sign: a copy that is not finished leaves nothing") {
  const Bench bench;
  {
    const auto copy = PeToSign::copy(image_of().source(), bench.out + "/file");
    REQUIRE(copy);
    CHECK(copy->digest().size() == 32);
  }
  CHECK(fs::is_empty(bench.out));
}

TEST_CASE("sign: a signature over another digest is not put into a file") {
  const Bench bench;
  auto copy = PeToSign::copy(image_of().source(), bench.out + "/file").value();
  auto other = image_of();
  other.bytes[PeImage::text] ^= 1;
  const auto foreign = PeToSign::copy(other.source(), bench.out + "/other").value();
  const auto signature = authenticode_signature(foreign.digest(), *bench.db).value();
  CHECK(copy.finish(signature).error().code == ErrorCode::crypto);
  CHECK_FALSE(copy.finish(as_bytes("no signature")));
  CHECK_FALSE(fs::exists(bench.out + "/file"));
}

TEST_CASE("sign: both halves apart make what they make together") {
  const Bench bench;
  const auto image = image_of(3);
  auto copy = PeToSign::copy(image.source(), bench.out + "/1").value();
  REQUIRE(copy.finish(authenticode_signature(copy.digest(), *bench.db).value()));
  const auto whole = signed_by(image.source(), *bench.db, bench.out + "/2");
  CHECK(read_file(bench.out + "/1", 1u << 20).value() == read_all(*whole, 1u << 20).value());
}

TEST_CASE("sign: what cannot be vouched for is refused, and nothing is left") {
  const Bench bench;
  const auto image = image_of();
  const auto refused = [&](const SharedSource& file, const SigningKey& key, const PeSigning& how, ErrorCode code,
                           const std::string& said) {
    const auto done = sign_pe(file, key, bench.out + "/no", how);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == code);
    CHECK_THAT(done.error().message, Catch::Contains(said));
    CHECK_FALSE(fs::exists(bench.out + "/no"));
  };
  PeSigning add, any_checksum;
  add.signatures = OldSignatures::keep;
  any_checksum.checksum = OldChecksum::ignore;
  const auto once = signed_by(image.source(), *bench.db, bench.out + "/once");
  refused(once, *bench.kek, {}, ErrorCode::unsupported, "already signed");
  refused(once, *bench.db, add, ErrorCode::crypto, "by the same certificate already");
  refused(image.source(), *bench.ed25519, {}, ErrorCode::missing, "no certificate");
  auto changed = read_all(*once, 1u << 20).value();
  changed[PeImage::text] ^= 1;
  refused(memory_source(changed), *bench.kek, add, ErrorCode::malformed, "CheckSum");
  add.checksum = OldChecksum::ignore;
  refused(memory_source(changed), *bench.kek, add, ErrorCode::crypto, "signature 1 is over other bytes");
  // The fixture's own CheckSum is of nothing.
  refused(PeImage{}.source(), *bench.db, {}, ErrorCode::malformed, "CheckSum is 0x00c0ffee");
  CHECK(sign_pe(PeImage{}.source(), *bench.db, bench.out + "/yes", any_checksum));
  for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{253402300800}}) {
    PeSigning at;
    at.signing_time = time;
    refused(image.source(), *bench.db, at, ErrorCode::usage, "no signing time");
  }
  for (const std::size_t number : {0u, 2u})
    CHECK(remove_signature(once, number, bench.out + "/no").error().code == ErrorCode::usage);
  CHECK(std::distance(fs::directory_iterator(bench.out), {}) == 2);
}

TEST_CASE("sign: a signing time is in the signature as it was given") {
  const Bench bench;
  for (const std::int64_t time :
       {std::int64_t{0}, std::int64_t{2524607999}, std::int64_t{2524608000}, std::int64_t{253402300799}}) {
    PeSigning how;
    how.signing_time = time;
    REQUIRE(sign_pe(image_of().source(), *bench.db, bench.out + "/file", how));
    const auto decoded = crypto::decode_authenticode(signatures(*file_source(bench.out + "/file").value()).front());
    REQUIRE(decoded);
    CHECK(decoded->signing_time == time);
    CHECK(decoded->key == "RSA-2048");
    CHECK(decoded->certificates.size() == 1);
  }
}
