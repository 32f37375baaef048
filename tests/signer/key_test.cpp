// Where keys come from, and which are refused.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "../../signer/pkcs11_uri.hpp"
#include "ingot/base/output.hpp"
#include "ingot/crypto/openssl.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/signer/sign.hpp"

using namespace ingot;
using namespace ingot::signer;
namespace fs = std::filesystem;

namespace {

using Key = std::unique_ptr<EVP_PKEY, crypto::Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, crypto::Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;

struct Scratch {
  std::string path = (fs::temp_directory_path() / ("ingot-key-" + to_hex(crypto::random_bytes(8)))).string();
  Scratch() { fs::create_directory(path); }
  ~Scratch() {
    fs::remove_all(path);
    ::unsetenv("SOURCE_DATE_EPOCH");
    ::unsetenv("CREDENTIALS_DIRECTORY");
    set_pin_sources({});
  }
  [[nodiscard]] std::string at(const std::string& name) const { return path + "/" + name; }
  std::string file(const std::string& name, std::string_view text, unsigned mode = 0600) const {
    REQUIRE(write_file(at(name), as_bytes(text), mode));
    return at(name);
  }
  std::string key_file(const std::string& name, EVP_PKEY* key, const char* passphrase = nullptr) const {
    const Bio out(BIO_new(BIO_s_mem()));
    const auto size = passphrase == nullptr ? 0 : static_cast<int>(std::char_traits<char>::length(passphrase));
    REQUIRE(PEM_write_bio_PKCS8PrivateKey(out.get(), key, passphrase == nullptr ? nullptr : EVP_aes_256_cbc(),
                                          passphrase, size, nullptr, nullptr) == 1);
    char* data = nullptr;
    const auto length = static_cast<std::size_t>(BIO_get_mem_data(out.get(), &data));
    return file(name, {data, length});
  }
  std::string certificate_file(const std::string& name, EVP_PKEY* key, long from, long to) const {
    const Certificate made(X509_new());
    auto* subject = X509_get_subject_name(made.get());
    REQUIRE(X509_set_version(made.get(), X509_VERSION_3) == 1);
    X509_time_adj_ex(X509_getm_notBefore(made.get()), 0, from, nullptr);
    X509_time_adj_ex(X509_getm_notAfter(made.get()), 0, to, nullptr);
    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, as_bytes("test").data(), 4, -1, 0);
    X509_set_issuer_name(made.get(), subject);
    X509_set_pubkey(made.get(), key);
    REQUIRE(X509_sign(made.get(), key, EVP_sha256()) > 0);
    const Bio out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), made.get());
    char* data = nullptr;
    const auto length = static_cast<std::size_t>(BIO_get_mem_data(out.get(), &data));
    return file(name, {data, length});
  }
};

/// Made once: a key takes long under sanitizers.
EVP_PKEY* rsa() {
  static const Key key(EVP_RSA_gen(2048));
  return key.get();
}

void check_refused(const Result<SigningKey>& loaded, ErrorCode code, const std::string& part) {
  REQUIRE_FALSE(loaded);
  INFO(describe(loaded.error()));
  CHECK(loaded.error().code == code);
  CHECK(describe(loaded.error()).find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("key: weak ones and foreign curves are refused, as are kinds that sign nothing of ours") {
  const Scratch scratch;
  const Key short_rsa(EVP_RSA_gen(1024)), p384(EVP_EC_gen("P-384")), koblitz(EVP_EC_gen("secp256k1"));
  const Key x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  check_refused(SigningKey::load(scratch.key_file("a", short_rsa.get())), ErrorCode::crypto, "1024 bits is weak");
  check_refused(SigningKey::load(scratch.key_file("b", p384.get())), ErrorCode::crypto, "secp384r1");
  check_refused(SigningKey::load(scratch.key_file("c", koblitz.get())), ErrorCode::crypto, "secp256k1");
  check_refused(SigningKey::load(scratch.key_file("d", x25519.get())), ErrorCode::crypto, "neither an RSA");
  const Key p256(EVP_EC_gen("P-256")), ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  CHECK(SigningKey::load(scratch.key_file("e", p256.get())).value().kind() == KeyKind::p256);
  CHECK(SigningKey::load(scratch.key_file("f", ed25519.get())).value().kind() == KeyKind::ed25519);
  CHECK(SigningKey::load(scratch.key_file("g", rsa())).value().kind() == KeyKind::rsa);
}

TEST_CASE(
    "key: a certificate of another key, expired or not yet valid is refused, by SOURCE_DATE_EPOCH where it is set") {
  const Scratch scratch;
  const auto key = scratch.key_file("db.key", rsa());
  const Key other(EVP_RSA_gen(2048));
  check_refused(SigningKey::load(key, scratch.certificate_file("other.crt", other.get(), -10, 1000)), ErrorCode::crypto,
                "does not belong to");
  const auto expired = scratch.certificate_file("expired.crt", rsa(), -100000, -1000);
  const auto future = scratch.certificate_file("future.crt", rsa(), 1000, 100000);
  check_refused(SigningKey::load(key, expired), ErrorCode::crypto, "expired at");
  check_refused(SigningKey::load(key, future), ErrorCode::crypto, "not valid before");
  const auto now = std::time(nullptr);
  ::setenv("SOURCE_DATE_EPOCH", std::to_string(now - 2000).c_str(), 1);
  CHECK(SigningKey::load(key, expired));
  check_refused(SigningKey::load(key, future), ErrorCode::crypto, "not valid before");
  ::setenv("SOURCE_DATE_EPOCH", std::to_string(now + 2000).c_str(), 1);
  CHECK(SigningKey::load(key, future));
  ::setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
  check_refused(SigningKey::load(key, future), ErrorCode::usage, "SOURCE_DATE_EPOCH is \"yesterday\"");
}

TEST_CASE("key: a passphrase comes from a file, a descriptor, a credential or a person, and from nowhere else") {
  const Scratch scratch;
  const auto reference = scratch.key_file("db.key", rsa(), "open sesame");
  check_refused(SigningKey::load(reference), ErrorCode::missing, "no terminal to ask on");
  const auto right = scratch.file("right", "open sesame\nsecond line\n");
  SECTION("a file") {
    set_pin_sources({scratch.file("wrong", "open poppy\n"), -1, {}});
    check_refused(SigningKey::load(reference), ErrorCode::crypto, "the passphrase does not open");
    set_pin_sources({scratch.file("empty", "\n"), -1, {}});
    check_refused(SigningKey::load(reference), ErrorCode::malformed, "no PIN or passphrase in its first line");
    set_pin_sources({scratch.file("long", std::string(2000, 'x')), -1, {}});
    check_refused(SigningKey::load(reference), ErrorCode::limit, "longer than 1 KiB");
    set_pin_sources({scratch.file("open", "open sesame\n", 0644), -1, {}});
    check_refused(SigningKey::load(reference), ErrorCode::usage, "can be read by others");
    set_pin_sources({scratch.at("nothing"), -1, {}});
    check_refused(SigningKey::load(reference), ErrorCode::missing, "nothing");
    set_pin_sources({right, -1, {}});
    REQUIRE(SigningKey::load(reference));
  }
  SECTION("a descriptor, for all keys that need it") {
    const auto second = scratch.key_file("pcr.key", rsa(), "open sesame");
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], "open sesame\n", 12) == 12);
    ::close(ends[1]);
    set_pin_sources({"", ends[0], {}});
    REQUIRE(SigningKey::load(reference));
    REQUIRE(SigningKey::load(second));
    ::close(ends[0]);
  }
  SECTION("a credential: the key's own, or the one for all") {
    ::setenv("CREDENTIALS_DIRECTORY", scratch.path.c_str(), 1);
    scratch.file("ingot.pin", "open poppy\n");
    check_refused(SigningKey::load(reference), ErrorCode::crypto, "the passphrase does not open");
    scratch.file("ingot.db", "open sesame\n");
    REQUIRE(SigningKey::load(reference));
  }
  SECTION("a person, who is asked once") {
    int asked = 0;
    set_pin_sources({"", -1, [&](const std::string& prompt) -> Result<crypto::Secret> {
                       CHECK(prompt == "Enter the passphrase of " + reference + ": ");
                       ++asked;
                       return crypto::Secret::copy_of(as_bytes("open sesame"));
                     }});
    REQUIRE(SigningKey::load(reference));
    REQUIRE(SigningKey::load(reference));
    CHECK(asked == 1);
    // Another file under the same name is another key.
    const auto again = scratch.key_file("db.key", rsa(), "open sesame");
    REQUIRE(SigningKey::load(again));
    CHECK(asked == 2);
  }
}

TEST_CASE("key: PKCS#11 URIs are read as RFC 7512 has them, and what is unsafe or unknown in one is refused") {
  const auto uri = parse_pkcs11_uri(
      "pkcs11:token=My%20site;object=db%2Fnew;type=private;id=%01%ff?module-path=/lib/x.so&"
      "pin-source=file:/run/pin");
  REQUIRE(uri);
  CHECK(uri->value("token") == "My site");
  CHECK(uri->value("object") == "db/new");
  CHECK(uri->module_path == "/lib/x.so");
  CHECK(uri->pin_file == "/run/pin");
  CHECK(uri->text() == "pkcs11:token=My%20site;object=db%2Fnew;type=private;id=%01%ff");
  CHECK(uri->place() == "token My site, object db/new, id %01%ff");
  CHECK(parse_pkcs11_uri("pkcs11:serial=1;object=a?pin-source=file:///p")->pin_file == "/p");
  CHECK(parse_pkcs11_uri("pkcs11:slot-id=3;id=%02").has_value());

  struct Row {
    const char* uri;
    ErrorCode code;
    const char* part;
  };
  const Row rows[] = {
      {"pkcs11:token=a;object=b?pin-value=1234", ErrorCode::usage, "--pin-fd"},
      {"pkcs11:object=b", ErrorCode::usage, "names no token"},
      {"pkcs11:model=SoftHSM%20v2;object=b", ErrorCode::usage, "names no token"},
      {"pkcs11:token=a", ErrorCode::usage, "names no key"},
      {"pkcs11:token=a;object=b;type=cert", ErrorCode::usage, "type=private"},
      {"pkcs11:token=a;objcet=b", ErrorCode::usage, "objcet"},
      {"pkcs11:token=a;object=b?pin-source=|/bin/pin", ErrorCode::usage, "absolute path"},
      {"pkcs11:token=a;object=b?pin-source=file:pin", ErrorCode::usage, "absolute path"},
      {"pkcs11:token=a;object=b?module-name=x", ErrorCode::usage, "module-name"},
      {"pkcs11:token=a;token=b;object=c", ErrorCode::malformed, "twice"},
      {"pkcs11:token=a b;object=c", ErrorCode::malformed, "\"token\""},
      {"pkcs11:token=%4;object=c", ErrorCode::malformed, "\"token\""},
      {"pkcs11:token=%zz;object=c", ErrorCode::malformed, "\"token\""},
      {"pkcs11:token;object=c", ErrorCode::malformed, "has no value"},
      {"pkcs11:=a;object=c", ErrorCode::malformed, "has no value"},
      {"pkcs12:token=a;object=c", ErrorCode::malformed, "starts with"},
  };
  for (const auto& row : rows) {
    INFO(row.uri);
    const auto parsed = parse_pkcs11_uri(row.uri);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == row.code);
    CHECK(describe(parsed.error()).find(row.part) != std::string::npos);
  }
  CHECK(parse_pkcs11_uri("pkcs11:token=a;object=" + std::string(5000, 'b')).error().code == ErrorCode::limit);
  // Whatever is wrong with a PIN in a URI, it is not told on.
  CHECK(describe(parse_pkcs11_uri("pkcs11:token=a;object=b?pin-value=12 34").error()).find("34") == std::string::npos);
}

TEST_CASE("key folder: NAME.uri in place of NAME.key; both, or one that others can write, are refused") {
  const Scratch scratch;
  const auto keys = init_keys(scratch.at("keys")).value();
  CHECK(keys.key("db") == keys.path + "/db.key");
  scratch.file("keys/db.uri", "pkcs11:token=a;object=b\n");
  CHECK(keys.key("db") == keys.path + "/db.uri");
  const auto both = open_keys(keys.path);
  REQUIRE_FALSE(both);
  CHECK(both.error().message.find("both") == 0);
  ::chmod(keys.key("db").c_str(), 0666);
  check_refused(SigningKey::load(keys.key("db")), ErrorCode::usage, "can be written by others");
  scratch.file("keys/db.uri", "pkcs11:token=a;object=b?pin-value=1\n");
  check_refused(SigningKey::load(keys.key("db")), ErrorCode::usage, "db.uri");
}
