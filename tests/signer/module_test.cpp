#include "ingot/signer/module.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/detached.hpp"
#include "ingot/crypto/random.hpp"

using namespace ingot;
using namespace ingot::signer;
namespace fs = std::filesystem;

namespace {

struct ModuleKeys {
  std::string path = (fs::temp_directory_path() / ("ingot-module-" + to_hex(crypto::random_bytes(8)))).string();
  KeyFolder folder = init_keys(path + "/keys").value();
  ModuleKeys() = default;
  ModuleKeys(const ModuleKeys&) = delete;
  ~ModuleKeys() { fs::remove_all(path); }
  [[nodiscard]] SigningKey db() const { return SigningKey::load(folder.key("db"), folder.certificate("db")).value(); }
};

Buffer vendor_signed() {
  return read_file(std::string(INGOT_SOURCE) + "/tests/verifier/vectors/module-signed.ko", 1u << 20).value();
}
Buffer bare() { return to_buffer(codec::without_module_signatures(vendor_signed()).value()); }

ErrorCode refused(const Result<SignedModule>& result) {
  REQUIRE_FALSE(result);
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

}  // namespace

TEST_CASE("modules: signed twice they are the same bytes, and the certificate's word") {
  const ModuleKeys keys;
  const auto db = keys.db();
  const auto module = sign_module(bare(), db, OldSignature::refused).value();
  CHECK(module.bytes == sign_module(bare(), db, OldSignature::refused).value().bytes);
  CHECK(module.info.name == "some_driver");
  const auto parts = codec::decode_module_signature(module.bytes).value().value();
  CHECK(to_buffer(parts.content) == bare());
  CHECK(crypto::verify_detached(parts.pkcs7, parts.content, db.certificate().value()));
  const ModuleKeys others;
  const auto foreign = crypto::verify_detached(parts.pkcs7, parts.content, others.db().certificate().value());
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == ErrorCode::crypto);
}

TEST_CASE("modules: a signature that is there already is refused, or replaced when that is asked for") {
  const ModuleKeys keys;
  const auto db = keys.db();
  CHECK(refused(sign_module(vendor_signed(), db, OldSignature::refused)) == ErrorCode::usage);
  const auto fresh = sign_module(bare(), db, OldSignature::refused).value().bytes;
  CHECK(sign_module(vendor_signed(), db, OldSignature::replaced).value().bytes == fresh);
  CHECK(sign_module(fresh, db, OldSignature::replaced).value().bytes == fresh);
}

TEST_CASE("modules: a compressed one is the signed one, compressed the same way") {
  const ModuleKeys keys;
  const auto db = keys.db();
  const auto plain = sign_module(bare(), db, OldSignature::refused).value().bytes;
  using codec::ModuleCompression;
  for (const auto kind : {ModuleCompression::xz, ModuleCompression::zstd, ModuleCompression::gzip}) {
    INFO(codec::module_suffix(kind));
    const auto packed = codec::compress_module(bare(), kind).value();
    const auto done = sign_module(packed, db, OldSignature::refused).value().bytes;
    CHECK(codec::module_compression(done) == kind);
    CHECK(codec::decompress_module(done, kind).value() == plain);
    CHECK(done == sign_module(packed, db, OldSignature::refused).value().bytes);
  }
}

TEST_CASE("modules: what is no module, and keys that the kernel's format has no word for, are refused") {
  const ModuleKeys keys;
  const auto db = keys.db();
  CHECK(refused(sign_module({}, db, OldSignature::refused)) == ErrorCode::malformed);
  CHECK(refused(sign_module(as_bytes("#!/bin/sh\n"), db, OldSignature::refused)) == ErrorCode::malformed);
  auto cut = codec::compress_module(bare(), codec::ModuleCompression::xz).value();
  cut.resize(cut.size() - 1);
  CHECK(refused(sign_module(cut, db, OldSignature::refused)) == ErrorCode::malformed);
  const auto ec = SigningKey::load(keys.folder.key("tls-ca"), keys.folder.certificate("tls-ca")).value();
  CHECK(refused(sign_module(bare(), ec, OldSignature::refused)) == ErrorCode::crypto);
  const auto alone = SigningKey::load(keys.folder.key("db")).value();
  CHECK(refused(sign_module(bare(), alone, OldSignature::refused)) == ErrorCode::missing);
}

TEST_CASE("modules: of many the first bad one is named, and good ones come in their order") {
  const ModuleKeys keys;
  const auto db = keys.db();
  std::vector<std::string> paths;
  for (int i = 0; i < 40; ++i) {
    paths.push_back(keys.path + "/" + std::to_string(i) + ".ko");
    auto module = bare();
    module.push_back(static_cast<std::uint8_t>(i));  // behind the sections, where nobody looks
    REQUIRE(write_file(paths.back(), module));
  }
  const auto good = sign_modules(paths, db, OldSignature::refused).value();
  REQUIRE(good.size() == paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) CHECK(good[i].bytes[bare().size()] == i);
  for (const int bad : {17, 31}) REQUIRE(write_file(paths[static_cast<std::size_t>(bad)], as_bytes("no module")));
  const auto failed = sign_modules(paths, db, OldSignature::refused);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::malformed);
  CHECK(failed.error().message.starts_with(paths[17] + ": "));
  fs::remove(paths[3]);
  const auto gone = sign_modules(paths, db, OldSignature::refused);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == ErrorCode::missing);
  CHECK(sign_modules({}, db, OldSignature::refused).value().empty());
}
