#include "ingot/signer/sign.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "ingot/base/output.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/pe.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/measure/uki.hpp"

using namespace ingot;
using namespace ingot::signer;
namespace fs = std::filesystem;

namespace {

/// A folder of its own for each test.
struct Scratch {
  std::string path = (fs::temp_directory_path() / ("ingot-signer-" + to_hex(crypto::random_bytes(8)))).string();
  Scratch() { fs::create_directory(path); }
  ~Scratch() { fs::remove_all(path); }
};

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("keys: made whole, private ones 0600 whatever the umask, never overwritten") {
  const Scratch scratch;
  const auto before = ::umask(0);
  const auto keys = init_keys(scratch.path + "/keys");
  ::umask(before);
  REQUIRE(keys);
  CHECK(mode_of(keys->path) == 0700);
  for (const auto* name : {"PK", "KEK", "db", "pcr", "baseline"}) CHECK(mode_of(keys->key(name)) == 0600);
  REQUIRE(open_keys(keys->path));
  const auto again = init_keys(keys->path);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ErrorCode::usage);
  CHECK(std::distance(fs::directory_iterator(scratch.path), {}) == 1);
}

TEST_CASE("keys: damage is refused with what to do") {
  struct Row {
    const char* name;
    void (*damage)(const KeyFolder&);
    ErrorCode code;
  };
  const Row rows[] = {
      {"a private key that others can read", [](const KeyFolder& k) { ::chmod(k.key("db").c_str(), 0644); },
       ErrorCode::usage},
      {"a missing key", [](const KeyFolder& k) { fs::remove(k.key("KEK")); }, ErrorCode::missing},
      {"a missing certificate", [](const KeyFolder& k) { fs::remove(k.certificate("db")); }, ErrorCode::missing},
      {"a truncated key", [](const KeyFolder& k) { fs::resize_file(k.key("pcr"), 100); }, ErrorCode::crypto},
      {"an empty key", [](const KeyFolder& k) { fs::resize_file(k.key("pcr"), 0); }, ErrorCode::crypto},
      {"another key's certificate",
       [](const KeyFolder& k) {
         fs::copy_file(k.certificate("PK"), k.certificate("db"), fs::copy_options::overwrite_existing);
       },
       ErrorCode::crypto},
      {"another key's public half",
       [](const KeyFolder& k) {
         fs::copy_file(k.public_key("pcr"), k.public_key("baseline"), fs::copy_options::overwrite_existing);
       },
       ErrorCode::crypto},
      {"an owner that is no GUID", [](const KeyFolder& k) { std::ofstream(k.path + "/owner.guid") << "nobody\n"; },
       ErrorCode::malformed},
  };
  const Scratch scratch;
  const auto made = init_keys(scratch.path + "/keys");
  REQUIRE(made);
  for (const auto& row : rows) {
    INFO(row.name);
    const KeyFolder copy{scratch.path + "/copy"};
    fs::remove_all(copy.path);
    fs::copy(made->path, copy.path, fs::copy_options::recursive);
    row.damage(copy);
    const auto opened = open_keys(copy.path);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == row.code);
    CHECK(opened.error().message.find(copy.path) != std::string::npos);
  }
  CHECK(open_keys(scratch.path + "/nowhere").error().code == ErrorCode::missing);
}

TEST_CASE("statements: a DSSE envelope opens with its key alone, and only unchanged") {
  const Scratch scratch;
  const auto keys = init_keys(scratch.path + "/keys").value();
  const auto others = init_keys(scratch.path + "/others").value();
  const auto key = SigningKey::load(keys.key("baseline")).value();
  const auto stranger = SigningKey::load(others.key("baseline")).value();
  const auto envelope = sign_dsse("application/x", as_bytes("payload"), key).value();
  CHECK(codec::encode_dsse(envelope) ==
        codec::encode_dsse(sign_dsse("application/x", as_bytes("payload"), key).value()));
  REQUIRE(codec::open_dsse(envelope, "application/x", key.public_key()));
  CHECK(codec::open_dsse(envelope, "application/x", stranger.public_key()).error().code == ErrorCode::crypto);
  CHECK_FALSE(codec::open_dsse(envelope, "application/y", key.public_key()));
  auto changed = envelope;
  changed.payload[0] ^= 1;
  CHECK_FALSE(codec::open_dsse(changed, "application/x", key.public_key()));
  changed = envelope;
  changed.signatures.clear();
  CHECK_FALSE(codec::open_dsse(changed, "application/x", key.public_key()));
}

TEST_CASE("statements: Secure Boot lists hold the folder's certificates under its owner") {
  const Scratch scratch;
  const auto keys = init_keys(scratch.path + "/keys").value();
  const auto lists = secure_boot_keys(keys).value();
  for (const auto& [name, data] : {std::pair{"PK", lists.pk}, {"KEK", lists.kek}, {"db", lists.db}}) {
    INFO(name);
    const auto decoded = codec::decode_signature_lists(data).value();
    REQUIRE(decoded.size() == 1);
    REQUIRE(decoded.front().signatures.size() == 1);
    CHECK(decoded.front().signatures.front().owner == owner_guid(keys).value());
    const auto key = SigningKey::load(keys.key(name), keys.certificate(name)).value();
    CHECK(decoded.front().signatures.front().data == key.certificate().value().der());
  }
}
