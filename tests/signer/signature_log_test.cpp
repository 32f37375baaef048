// No signature without its entry in the log.
#include "ingot/codec/signature_log.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::signer;
namespace fs = std::filesystem;

namespace {

/// A key folder, and the log in it.
struct Site {
  std::string path = (fs::temp_directory_path() / ("ingot-log-" + to_hex(crypto::random_bytes(8)))).string();
  KeyFolder keys = init_keys(path).value();
  ~Site() {
    ::unsetenv("INGOT_SIGN_LOG");
    fs::remove_all(path);
  }
  [[nodiscard]] std::string log() const { return path + "/signatures.log"; }
  [[nodiscard]] SigningKey key() const { return SigningKey::load(keys.key("baseline")).value(); }
  [[nodiscard]] Result<Buffer> sign(const std::string& message) const {
    return key().sign({"a test", {1, 2}}, HashAlg::sha256, as_bytes(message));
  }
};

codec::SignatureLog read_log(const std::string& path) {
  return codec::read_signature_log(read_file(path, 1u << 24).value());
}

}  // namespace

TEST_CASE("signature log: who, what, digest, key and when of each signature, in a chain") {
  const Site site;
  REQUIRE(site.sign("one"));
  REQUIRE(site.sign("two"));
  const auto log = read_log(site.log());
  REQUIRE(log.entries.size() == 2);
  CHECK_FALSE(log.broken);
  CHECK(log.entries[0].what == "a test");
  CHECK(log.entries[0].digest == Buffer{1, 2});
  CHECK(log.entries[0].signed_sha256 == crypto::sha256(as_bytes("one")));
  CHECK(log.entries[0].key_sha256 == crypto::sha256(site.key().public_key().spki_der()));
  CHECK(log.entries[0].time.size() == std::string("2026-01-01T00:00:00Z").size());
  CHECK(log.entries[0].previous == codec::empty_signature_log_head());
  CHECK(log.entries[1].previous == log.heads[0]);
  struct stat info {};
  REQUIRE(::stat(site.log().c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("signature log: every way of signing leaves its entry") {
  const Site site;
  const auto load = [&](const char* name, bool certified) {
    return SigningKey::load(site.keys.key(name), certified ? site.keys.certificate(name) : std::string()).value();
  };
  const auto pcr = load("pcr", false), db = load("db", true);
  const Buffer digest(32, 7);
  REQUIRE(authenticode_certificate_table(digest, db, "UKI training 7"));
  REQUIRE(pcr_signature_json({{"enter-initrd", {{HashAlg::sha256, digest}}}}, pcr));
  REQUIRE(release_signature_json({"enter-initrd", {{HashAlg::sha256, digest}}}, 3, pcr));
  REQUIRE(sign_ipe_policy("policy_name=ingot policy_version=1.2.3\nDEFAULT action=DENY\n", db));
  REQUIRE(sign_dsse("application/x", as_bytes("payload"), site.key(), "baseline of training 7"));
  REQUIRE(sign_jwt("{}", load("verdict", false)));
  const auto log = read_log(site.log());
  CHECK_FALSE(log.broken);
  std::vector<std::string> whats;
  for (const auto& entry : log.entries) whats.push_back(entry.what);
  CHECK(whats == std::vector<std::string>{"Authenticode of UKI training 7", "PCR 11 policy enter-initrd",
                                          "PCR 11 policy enter-initrd of generation 3", "PCR 11 policy enter-initrd",
                                          "execution policy policy_name=ingot policy_version=1.2.3",
                                          "baseline of training 7", "verdict"});
  CHECK(log.entries[0].digest == digest);
}

TEST_CASE("signature log: threads that sign at once make one chain, and share its syncs") {
  const Site site;
  const auto key = site.key();
  constexpr int threads = 8, each = 25;
  std::vector<std::thread> running;
  std::atomic<int> made = 0;
  for (int i = 0; i < threads; ++i)
    running.emplace_back([&, i] {
      for (int n = 0; n < each; ++n)
        if (key.sign({fmt::format("thread {} signature {}", i, n), {}}, HashAlg::sha256, as_bytes("x"))) ++made;
    });
  for (auto& one : running) one.join();
  CHECK(made == threads * each);
  const auto log = read_log(site.log());
  CHECK_FALSE(log.broken);
  CHECK(log.entries.size() == threads * each);
}

TEST_CASE("signature log: one that can't be written, or is none, means no signature") {
  const Site site;
  REQUIRE(site.sign("one"));
  const auto before = read_file(site.log(), 1u << 20).value();
  const auto refused = [&](ErrorCode code, const std::string& part) {
    const auto signature = site.sign("two");
    REQUIRE_FALSE(signature);
    INFO(describe(signature.error()));
    CHECK(signature.error().code == code);
    CHECK(describe(signature.error()).find(part) != std::string::npos);
  };
  SECTION("a folder that nobody can write to") {
    ::setenv("INGOT_SIGN_LOG", "/proc/ingot/signatures.log", 1);
    refused(ErrorCode::missing, "INGOT_SIGN_LOG");
  }
  SECTION("a full disk") {
    ::setenv("INGOT_SIGN_LOG", "/dev/full", 1);
    refused(ErrorCode::usage, "is not a regular file");
  }
  SECTION("a link to somewhere else") {
    fs::rename(site.log(), site.path + "/elsewhere");
    fs::create_symlink(site.path + "/elsewhere", site.log());
    refused(ErrorCode::io, "nothing is signed that is not logged");
    CHECK(read_file(site.path + "/elsewhere", 1u << 20).value() == before);
  }
  SECTION("a file of something else") {
    REQUIRE(write_file(site.log(), as_bytes("root:x:0:0:root:/root:/bin/bash\n")));
    refused(ErrorCode::malformed, "is not an entry");
    CHECK(fs::file_size(site.log()) == 32);
  }
  SECTION("half a line at its end") {
    REQUIRE(write_file(site.log(), Bytes(before).first(before.size() - 5)));
    refused(ErrorCode::malformed, "is not an entry");
    CHECK(fs::file_size(site.log()) == before.size() - 5);
  }
  SECTION("an entry that is too long") {
    const auto signature = site.key().sign({std::string(9000, 'x'), {}}, HashAlg::sha256, as_bytes("two"));
    REQUIRE_FALSE(signature);
    CHECK(signature.error().code == ErrorCode::limit);
    CHECK(read_file(site.log(), 1u << 20).value() == before);
  }
}
