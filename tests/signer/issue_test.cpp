#include "ingot/signer/issue.hpp"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/crypto/chain.hpp"
#include "ingot/crypto/openssl.hpp"
#include "ingot/crypto/random.hpp"

using namespace ingot;
using namespace ingot::signer;
namespace fs = std::filesystem;

namespace {

constexpr const char* client_auth = "1.3.6.1.5.5.7.3.2";
constexpr const char* server_auth = "1.3.6.1.5.5.7.3.1";

struct Folder {
  std::string path = (fs::temp_directory_path() / ("ingot-signer-" + to_hex(crypto::random_bytes(8)))).string();
  KeyFolder keys = init_keys(path).value();
  ~Folder() { fs::remove_all(path); }
};

/// A request that says of itself what it likes.
std::string request_of(const char* common_name) {
  const std::unique_ptr<EVP_PKEY, crypto::Deleter<EVP_PKEY_free>> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509_REQ, crypto::Deleter<X509_REQ_free>> request(X509_REQ_new());
  const void* name = common_name;
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_ASC,
                             static_cast<const unsigned char*>(name), -1, -1, 0);
  X509_REQ_set_pubkey(request.get(), key.get());
  REQUIRE(X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0);
  const std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(out.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

crypto::Certificate certificate_of(const std::string& pem) { return crypto::Certificate::from_pem(pem).value(); }

}  // namespace

TEST_CASE("issue: the authority says who a node is, whatever the request says") {
  const Folder folder;
  const auto pem = read_file(folder.keys.certificate("tls-ca"), 1u << 16).value();
  const auto authority = certificate_of(std::string(as_text(pem)));
  CHECK(crypto::is_authority(authority));
  const auto node = certificate_of(issue_certificate(folder.keys, request_of("logs"), {"gpu-1", {}}).value());
  CHECK(node.subject() == "CN=gpu-1");
  CHECK_FALSE(crypto::is_authority(node));
  CHECK(crypto::allows_usage(node, client_auth));
  CHECK_FALSE(crypto::allows_usage(node, server_auth));
  const auto answer = crypto::verify_chain(node, {{}, {authority}, std::time(nullptr)});
  REQUIRE(answer);
  CHECK_FALSE(answer->expired);
  const auto later = crypto::verify_chain(node, {{}, {authority}, std::time(nullptr) + 91 * 86400});
  CHECK((later && later->expired));
  const auto logs = certificate_of(
      issue_certificate(folder.keys, request_of("x"), {"logs", {"logs.example", "fd00::1"}, NodeUse::collector, 1})
          .value());
  CHECK(crypto::allows_usage(logs, server_auth));
}

TEST_CASE("issue: what cannot be certified is refused") {
  const Folder folder;
  const auto request = request_of("x");
  struct Row {
    const char* name;
    NodeCertificate wanted;
    std::string request;
    ErrorCode code;
  };
  auto tampered = request;
  tampered[request.size() / 2] = tampered[request.size() / 2] == 'A' ? 'B' : 'A';
  const Row rows[] = {{"no name", {"", {}}, request, ErrorCode::usage},
                      {"a name with a comma", {"gpu,O=x", {}}, request, ErrorCode::usage},
                      {"capital letters", {"GPU", {}}, request, ErrorCode::usage},
                      {"a name that is too long", {std::string(64, 'a'), {}}, request, ErrorCode::usage},
                      {"an extension smuggled in", {"gpu", {"a,IP:10.0.0.1"}}, request, ErrorCode::usage},
                      {"no time", {"gpu", {}, NodeUse::client, 0}, request, ErrorCode::usage},
                      {"too long a time", {"gpu", {}, NodeUse::client, 826}, request, ErrorCode::usage},
                      {"no request", {"gpu", {}}, "hello\n", ErrorCode::malformed},
                      {"a request that was changed", {"gpu", {}}, tampered, ErrorCode::malformed}};
  for (const auto& row : rows) {
    INFO(row.name);
    const auto issued = issue_certificate(folder.keys, row.request, row.wanted);
    REQUIRE_FALSE(issued);
    CHECK(issued.error().code == row.code);
  }
}

TEST_CASE("keys: a folder made before there was a TLS authority still opens, and issues nothing") {
  const Folder folder;
  fs::remove(folder.keys.key("tls-ca"));
  CHECK_FALSE(open_keys(folder.path));  // half of an authority is a fault
  fs::remove(folder.keys.certificate("tls-ca"));
  REQUIRE(open_keys(folder.path));
  CHECK(issue_certificate(folder.keys, request_of("x"), {"gpu", {}}).error().code == ErrorCode::missing);
}
