#include "ingot/signer/issue.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/crypto/random.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;
using RequestHandle = std::unique_ptr<X509_REQ, crypto::Deleter<X509_REQ_free>>;

constexpr std::size_t request_cap_bytes = 64u << 10;
constexpr int longest_days =
    825;  // CA/Browser Forum's former limit, and more than any node should go without a redeploy
/// The clock of a node that just booted may be behind the authority's.
constexpr long backdated_seconds = 300;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_node_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}
bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.'; });
}
bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

/// RFC 5280, "Subject Alternative Name", in the words of x509v3_config(5).
Result<std::string> alternative_names(const NodeCertificate& wanted) {
  auto out = fmt::format("DNS:{}", wanted.node);
  for (const auto& name : wanted.names) {
    if (!is_address(name) && !is_host_name(name))
      return fail(ErrorCode::usage, fmt::format("\"{}\" is neither a host name in small letters nor an address", name));
    out += fmt::format(",{}:{}", is_address(name) ? "IP" : "DNS", name);
  }
  return out;
}

Result<RequestHandle> read_request(std::string_view pem) {
  if (pem.size() > request_cap_bytes) return fail(ErrorCode::limit, "a certificate request of more than 64 KiB");
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  RequestHandle request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (!request) {
    auto error = crypto::openssl_error(ErrorCode::malformed, "not a certificate request in PEM");
    error.remedy = "give the node's /var/lib/ingot/identity/node.csr";
    return fail(std::move(error));
  }
  if (X509_REQ_verify(request.get(), X509_REQ_get0_pubkey(request.get())) != 1)
    return fail(crypto::openssl_error(ErrorCode::malformed,
                                      "the request is not signed by the key that it asks a certificate for"));
  return request;
}

Result<CertificateHandle> read_authority(const KeyFolder& keys) {
  const auto pem = TRY(read_file(keys.certificate("tls-ca"), request_cap_bytes));
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate)
    return fail(crypto::openssl_error(ErrorCode::malformed, keys.certificate("tls-ca") + " is not a certificate"));
  return certificate;
}

bool add_extension(X509* certificate, X509* authority, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, authority, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, crypto::Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Result<CertificateHandle> fill(X509_REQ* request, X509* authority, const NodeCertificate& wanted) {
  const auto names = TRY(alternative_names(wanted));
  CertificateHandle certificate(X509_new());
  auto serial = crypto::random_bytes(16);
  serial[0] &= 0x7F;  // RFC 5280, "Serial Number": positive
  const std::unique_ptr<BIGNUM, crypto::Deleter<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  const void* node = wanted.node.c_str();
  auto* made = certificate.get();
  const bool ok = X509_set_version(made, X509_VERSION_3) == 1 &&
                  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made)) != nullptr &&
                  X509_gmtime_adj(X509_getm_notBefore(made), -backdated_seconds) != nullptr &&
                  X509_time_adj_ex(X509_getm_notAfter(made), wanted.days, 0, nullptr) != nullptr &&
                  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                             static_cast<const unsigned char*>(node), -1, -1, 0) == 1 &&
                  X509_set_issuer_name(made, X509_get_subject_name(authority)) == 1 &&
                  X509_set_pubkey(made, X509_REQ_get0_pubkey(request)) == 1 &&
                  add_extension(made, authority, NID_basic_constraints, "critical,CA:FALSE") &&
                  add_extension(made, authority, NID_key_usage, "critical,digitalSignature") &&
                  add_extension(made, authority, NID_ext_key_usage,
                                wanted.use == NodeUse::client ? "clientAuth" : "clientAuth,serverAuth") &&
                  add_extension(made, authority, NID_subject_alt_name, names) &&
                  add_extension(made, authority, NID_subject_key_identifier, "hash") &&
                  add_extension(made, authority, NID_authority_key_identifier, "keyid");
  if (!ok) return fail(crypto::openssl_error(ErrorCode::crypto, "filling in the certificate"));
  return certificate;
}

}  // namespace

Result<std::string> issue_certificate(const KeyFolder& keys, std::string_view pem, const NodeCertificate& wanted) {
  if (!is_node_name(wanted.node))
    return fail(ErrorCode::usage, fmt::format("\"{}\" is no node's name", wanted.node),
                "use small letters, digits and hyphens, at most 63");
  if (wanted.days < 1 || wanted.days > longest_days)
    return fail(ErrorCode::usage, fmt::format("{} days, expected 1 to {}", wanted.days, longest_days));
  if (std::error_code ec; !std::filesystem::exists(keys.key("tls-ca"), ec))
    return fail(ErrorCode::missing, fmt::format("{} has no TLS authority", keys.path),
                "make a new key folder with `ingot keys init`, or issue with the authority that the profiles name");
  const auto request = TRY(read_request(pem));
  const auto key = TRY(SigningKey::load(keys.key("tls-ca"), keys.certificate("tls-ca")));
  const auto authority = TRY(read_authority(keys));
  const auto certificate = TRY(fill(request.get(), authority.get(), wanted));
  TRY(key.state().use({"TLS certificate of " + wanted.node, {}}, [&](EVP_PKEY* handle) -> Result<Buffer> {
    if (X509_sign(certificate.get(), handle, EVP_sha256()) <= 0)
      return fail(crypto::openssl_error(ErrorCode::crypto, "signing the certificate"));
    unsigned char* der = nullptr;
    const int size = i2d_re_X509_tbs(certificate.get(), &der);
    if (size <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "encoding the certificate"));
    Buffer signed_part(der, der + size);
    OPENSSL_free(der);
    return signed_part;
  }));
  const BioHandle out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), certificate.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace ingot::signer
