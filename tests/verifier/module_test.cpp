// Kernel modules as they come: signed by the kernel's own sign-file (vectors/module-signed.origin), compressed,
// damaged.
#include <catch2/catch.hpp>

#include "decoder_checks.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_info.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/detached.hpp"

using namespace ingot;
using namespace ingot::codec;

namespace {

constexpr std::size_t content_bytes = 896;
constexpr std::size_t trailer_bytes = 12 + 28;

Buffer vector_file(const std::string& name) {
  return read_file(std::string(INGOT_SOURCE) + "/tests/verifier/vectors/" + name, 1u << 20).value();
}
Buffer signed_module() { return vector_file("module-signed.ko"); }
Buffer module_alone() { return to_buffer(Bytes(signed_module()).first(content_bytes)); }
crypto::Certificate its_signer() {
  return crypto::Certificate::from_pem(as_text(vector_file("module-signed.crt"))).value();
}
constexpr ModuleCompression compressions[] = {ModuleCompression::xz, ModuleCompression::zstd, ModuleCompression::gzip};

}  // namespace

TEST_CASE("module: what sign-file appended is taken apart, and is its certificate's word") {
  const auto file = signed_module();
  const auto parts = decode_module_signature(file).value();
  REQUIRE(parts);
  CHECK(parts->content.size() == content_bytes);
  CHECK(parts->pkcs7.size() == file.size() - content_bytes - trailer_bytes);
  CHECK(append_module_signature(parts->content, parts->pkcs7) == file);
  const auto signer = crypto::detached_signer(parts->pkcs7).value();
  CHECK(signer.digest == HashAlg::sha256);
  CHECK(signer.issuer == "CN=Module signing,O=Some\\, Vendor");
  CHECK(to_hex(signer.serial) == "8f0102030405060708");
  CHECK(signer.signature.size() == 256);
  CHECK(crypto::verify_detached(parts->pkcs7, parts->content, its_signer()));
}

TEST_CASE("module: a changed byte of the module or of the signature is no longer signed") {
  const auto file = signed_module();
  const auto parts = decode_module_signature(file).value().value();
  auto content = to_buffer(parts.content);
  content[content.size() / 2] ^= 1;
  const auto changed = crypto::verify_detached(parts.pkcs7, content, its_signer());
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == ErrorCode::crypto);
  std::size_t unnoticed = 0;
  for (std::size_t at = 0; at < parts.pkcs7.size(); ++at) {
    auto pkcs7 = to_buffer(parts.pkcs7);
    pkcs7[at] ^= 0x10;
    if (!crypto::verify_detached(pkcs7, parts.content, its_signer())) continue;
    INFO(at);
    CHECK(at < parts.pkcs7.size() - 256);
    ++unnoticed;
  }
  // Versions and the list of digests beside the signer: who reads them?
  CHECK(unnoticed < 16);
}

TEST_CASE("module: signatures one behind the other are all taken away") {
  const auto once = signed_module();
  const auto parts = decode_module_signature(once).value().value();
  const auto twice = append_module_signature(once, parts.pkcs7);
  CHECK(to_buffer(decode_module_signature(twice).value()->content) == once);
  CHECK(to_buffer(without_module_signatures(twice).value()) == module_alone());
  CHECK(to_buffer(without_module_signatures(module_alone()).value()) == module_alone());
  CHECK_FALSE(decode_module_signature(module_alone()).value());
  CHECK_FALSE(decode_module_signature({}).value());
}

TEST_CASE("module: a signature's trailer that the kernel would refuse is an error") {
  struct Row {
    const char* name;
    std::size_t from_end;  ///< of the byte that is set
    std::uint8_t value;
    ErrorCode code;
  };
  const Row rows[] = {
      {"an algorithm", 40, 1, ErrorCode::malformed},
      {"a hash", 39, 4, ErrorCode::malformed},
      {"a signature of PGP", 38, 0, ErrorCode::unsupported},
      {"a signature of X.509", 38, 1, ErrorCode::unsupported},
      {"a signer's name", 37, 9, ErrorCode::malformed},
      {"a key id", 36, 9, ErrorCode::malformed},
      {"padding", 33, 1, ErrorCode::malformed},
      {"a size beyond the file", 32, 0x7F, ErrorCode::malformed},
      {"a size beyond the cap", 30, 0x44, ErrorCode::malformed},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto file = signed_module();
    file[file.size() - row.from_end] = row.value;
    const auto parts = decode_module_signature(file);
    REQUIRE_FALSE(parts);
    CHECK(parts.error().code == row.code);
  }
  const auto marker = decode_module_signature(as_bytes("~Module signature appended~\n"));
  REQUIRE_FALSE(marker);
  CHECK(marker.error().code == ErrorCode::malformed);
  const auto large = decode_module_signature(append_module_signature({}, Buffer(module_signature_cap_bytes + 1)));
  REQUIRE_FALSE(large);
  CHECK(large.error().code == ErrorCode::limit);
  const auto none = decode_module_signature(append_module_signature({}, {}));
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::malformed);
}

TEST_CASE("module: it says its name, its kernel and what it depends on") {
  const ModuleInfo expected{
      "some_driver", "6.1.0-57-cloud-amd64 SMP preempt mod_unload modversions ", {"two_a", "three"}, false};
  CHECK(decode_module_info(module_alone()).value() == expected);
  CHECK(decode_module_info(signed_module()).value() == expected);
  test::rejects_every_prefix(module_alone(), decode_module_info);
}

TEST_CASE("module: an object file that is no module is refused") {
  struct Row {
    const char* name;
    void (*damage)(Buffer&);
  };
  const auto replace = [](Buffer& file, std::string_view from, std::string_view to) {
    const auto at = as_text(file).find(from);
    REQUIRE(at != std::string_view::npos);
    std::copy(to.begin(), to.end(), file.begin() + static_cast<long>(at));
  };
  const Row rows[] = {
      {"32 bits", [](Buffer& file) { file[4] = 1; }},
      {"big-endian", [](Buffer& file) { file[5] = 2; }},
      {"a program", [](Buffer& file) { file[16] = 2; }},
      {"sections of another size", [](Buffer& file) { file[58] = 40; }},
      {"no sections", [](Buffer& file) { file[60] = 0; }},
      {"names in a section that is not there", [](Buffer& file) { file[62] = 200; }},
      {"sections outside the file", [](Buffer& file) { file[46] = 0xFF; }},
  };
  for (const auto& row : rows) {
    INFO(row.name);
    auto file = module_alone();
    row.damage(file);
    const auto info = decode_module_info(file);
    REQUIRE_FALSE(info);
    CHECK(info.error().code == ErrorCode::malformed);
  }
  for (const std::string_view key : {"vermagic=", "name=some", ".modinfo"}) {
    INFO(key);
    auto file = module_alone();
    replace(file, key, "x");
    CHECK_FALSE(decode_module_info(file));
  }
}

TEST_CASE("module: what is compressed unpacks to the same, and twice compressed is the same") {
  auto large = module_alone();
  large.resize(3u << 20, 0x5A);  // more than one step of output
  for (const auto compression : compressions)
    for (const auto& module : {module_alone(), large}) {
      INFO(module_suffix(compression) << " of " << module.size() << " bytes");
      const auto packed = compress_module(module, compression).value();
      CHECK(module_compression(packed) == compression);
      CHECK(packed == compress_module(module, compression).value());
      CHECK(decompress_module(packed, compression).value() == module);
    }
  CHECK(module_compression(large) == ModuleCompression::none);
  CHECK(module_compression({}) == ModuleCompression::none);
}

TEST_CASE("module: a compressed one that is cut, followed by more, or larger than allowed is refused") {
  for (const auto compression : compressions) {
    INFO(module_suffix(compression));
    const auto packed = compress_module(module_alone(), compression).value();
    test::rejects_every_prefix(packed, [&](Bytes file) { return decompress_module(file, compression); });
    auto longer = packed;
    longer.push_back(0);
    const auto followed = decompress_module(longer, compression);
    REQUIRE_FALSE(followed);
    CHECK(followed.error().code == ErrorCode::malformed);
    CHECK(followed.error().offset_bytes == packed.size());
    CHECK(decompress_module(packed, compression, content_bytes));
    const auto small = decompress_module(packed, compression, content_bytes - 1);
    REQUIRE_FALSE(small);
    CHECK(small.error().code == ErrorCode::limit);
    auto damaged = packed;
    damaged[damaged.size() / 2] ^= 0xFF;
    CHECK_FALSE(decompress_module(damaged, compression));
  }
}
