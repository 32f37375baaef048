#include "key_making.hpp"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "ingot/base/output.hpp"
#include "ingot/crypto/random.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {
namespace fs = std::filesystem;

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;

constexpr unsigned rsa_bits = 2048;  // what every UEFI firmware verifies
constexpr long certificate_days = 20 * 365;

constexpr unsigned recovery_rsa_bits = 3072;  // no firmware has to know it

struct Extension {
  int nid;
  const char* value;
};
std::vector<Extension> extensions_of(CertificateUse use) {
  if (use == CertificateUse::authority)  // of end entities only: no authority below this one
    return {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
            {NID_key_usage, "critical,keyCertSign,cRLSign"},
            {NID_subject_key_identifier, "hash"}};
  if (use == CertificateUse::recovery)
    return {{NID_basic_constraints, "critical,CA:FALSE"},
            {NID_key_usage, "critical,keyEncipherment"},
            {NID_subject_key_identifier, "hash"}};
  return {{NID_basic_constraints, "critical,CA:FALSE"},
          {NID_key_usage, "critical,digitalSignature"},
          {NID_ext_key_usage, "codeSigning"},
          {NID_subject_key_identifier, "hash"}};
}

Result<KeyHandle> generate(const KeyRow& row) {
  KeyHandle key(row.type == KeyType::rsa        ? EVP_RSA_gen(rsa_bits)
                : row.type == KeyType::rsa_3072 ? EVP_RSA_gen(recovery_rsa_bits)
                : row.type == KeyType::p256     ? EVP_EC_gen("P-256")
                                                : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return fail(crypto::openssl_error(ErrorCode::crypto, fmt::format("making the {} key", row.name)));
  return key;
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, crypto::Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Result<CertificateHandle> self_sign(EVP_PKEY* key, const KeyRow& row, const std::string& common_name) {
  CertificateHandle certificate(X509_new());
  auto serial = crypto::random_bytes(16);
  serial[0] &= 0x7F;  // RFC 5280, "Serial Number": positive
  const std::unique_ptr<BIGNUM, crypto::Deleter<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  X509_NAME* name = X509_get_subject_name(certificate.get());
  bool ok = X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
            BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
            X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0) != nullptr &&
            X509_time_adj_ex(X509_getm_notAfter(certificate.get()), certificate_days, 0, nullptr) != nullptr &&
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                       static_cast<const unsigned char*>(static_cast<const void*>(common_name.c_str())),
                                       -1, -1, 0) == 1 &&
            X509_set_issuer_name(certificate.get(), name) == 1 && X509_set_pubkey(certificate.get(), key) == 1;
  for (const auto& [nid, value] : extensions_of(row.use)) ok = ok && add_extension(certificate.get(), nid, value);
  ok = ok && X509_sign(certificate.get(), key, EVP_sha256()) > 0;
  if (!ok)
    return fail(crypto::openssl_error(ErrorCode::crypto, fmt::format("making the certificate \"{}\"", common_name)));
  return certificate;
}

/// The text of a memory BIO; wiped from the BIO when that is freed.
Bytes view(BIO* bio) {
  unsigned char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<void> write_key(const KeyFolder& folder, const KeyRow& row, const std::string& common_name) {
  const auto key = TRY(generate(row));
  const BioHandle secret(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "encoding a private key"));
  TRY(write_file(folder.key(row.name), view(secret.get()), 0600));
  const BioHandle open(BIO_new(BIO_s_mem()));
  if (row.use == CertificateUse::none) {
    PEM_write_bio_PUBKEY(open.get(), key.get());
    return write_file(folder.public_key(row.name), view(open.get()));
  }
  const auto certificate = TRY(self_sign(key.get(), row, common_name));
  PEM_write_bio_X509(open.get(), certificate.get());
  return write_file(folder.certificate(row.name), view(open.get()));
}

Result<KeyFolder> make_folder(const std::string& given, const std::function<Result<void>(const KeyFolder&)>& fill) {
  std::error_code ec;
  fs::path path = fs::absolute(given, ec).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (fs::exists(path, ec) && !(fs::is_directory(path, ec) && fs::is_empty(path, ec)))
    return fail(ErrorCode::usage, fmt::format("{} already exists and is not an empty folder", given),
                "keys are never overwritten; choose a new folder");
  fs::create_directories(path.parent_path(), ec);
  if (ec) return fail(io_error(fmt::format("creating {}", path.parent_path().string()), ec.value()));
  std::string work = path.string() + ".XXXXXX";
  if (::mkdtemp(work.data()) == nullptr)
    return fail(io_error(fmt::format("creating a folder beside {}", given), errno));
  struct Cleanup {
    const std::string& path;
    ~Cleanup() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  } cleanup{work};
  TRY(fill(KeyFolder{work}));
  if (::chmod(work.c_str(), 0700) != 0 || ::rename(work.c_str(), path.c_str()) != 0)
    return fail(io_error(fmt::format("creating {}", given), errno));
  return KeyFolder{path.string()};
}

}  // namespace ingot::signer
