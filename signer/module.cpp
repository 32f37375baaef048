#include "ingot/signer/module.hpp"

#include <fmt/format.h>
#include <openssl/x509.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/der.hpp"
#include "ingot/codec/module_compression.hpp"
#include "ingot/codec/module_signature.hpp"
#include "ingot/crypto/hash.hpp"
#include "key_state.hpp"

namespace ingot::signer {
namespace {

using codec::der_context_0, codec::der_octet_string, codec::der_sequence, codec::der_set;

constexpr std::array<std::uint8_t, 3> version_1 = {0x02, 0x01, 0x01};
/// 1.2.840.113549.1.7.2, id-signedData
constexpr std::array<std::uint8_t, 11> signed_data_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                          0xF7, 0x0D, 0x01, 0x07, 0x02};
/// 1.2.840.113549.1.7.1, id-data
constexpr std::array<std::uint8_t, 11> data_oid = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01};
/// 2.16.840.1.101.3.4.2.1 without parameters (RFC 5754, "SHA2 Algorithm Identifiers")
constexpr std::array<std::uint8_t, 13> sha256_algorithm = {0x30, 0x0B, 0x06, 0x09, 0x60, 0x86, 0x48,
                                                           0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
/// 1.2.840.113549.1.1.1, rsaEncryption, parameters NULL
constexpr std::array<std::uint8_t, 15> rsa_algorithm = {0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                                        0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};

/// A value in DER; what is in it is in order already.
Buffer tlv(std::uint8_t tag, std::initializer_list<Bytes> parts) {
  Writer content;
  for (const auto part : parts) content.bytes(part);
  return codec::encode_der(tag, content.view());
}

/// IssuerAndSerialNumber.
Result<Buffer> signer_id(const crypto::Certificate& certificate) {
  const unsigned char* at = certificate.der().data();
  const CertificateHandle x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
  const unsigned char* name = nullptr;
  std::size_t name_bytes = 0;
  if (!x509 || X509_NAME_get0_der(X509_get_issuer_name(x509.get()), &name, &name_bytes) != 1)
    return fail(crypto::openssl_error(ErrorCode::crypto, "reading the certificate's issuer"));
  unsigned char* serial = nullptr;
  const int serial_bytes = i2d_ASN1_INTEGER(X509_get0_serialNumber(x509.get()), &serial);
  if (serial_bytes <= 0) return fail(crypto::openssl_error(ErrorCode::crypto, "reading the certificate's number"));
  const Buffer number(serial, serial + serial_bytes);
  OPENSSL_free(serial);
  constexpr std::size_t id_cap_bytes = 8u << 10;
  if (name_bytes + number.size() > id_cap_bytes)
    return fail(ErrorCode::limit, "a certificate whose issuer has a name of more than 8 KiB");
  return tlv(der_sequence, {Bytes(name, name_bytes), number});
}

}  // namespace

Result<Buffer> module_signature(Bytes content, const SigningKey& key, std::string_view what) {
  if (!key.public_key().rsa_numbers())
    return fail(ErrorCode::crypto, "signatures of kernel modules need an RSA key here",
                "use the db key, which the firmware wants to be RSA as well");
  const auto id = TRY(signer_id(TRY(key.certificate())));
  const auto value = TRY(key.sign({std::string(what), crypto::sha256(content)}, HashAlg::sha256, content));
  // SignerInfo, version 1: the signer told by issuer and number. No attributes: what is signed is the content's digest.
  const auto signer =
      tlv(der_sequence, {version_1, id, sha256_algorithm, rsa_algorithm, tlv(der_octet_string, {value})});
  const auto signed_data = tlv(der_sequence, {version_1, tlv(der_set, {sha256_algorithm}),
                                              tlv(der_sequence, {data_oid}), tlv(der_set, {signer})});
  return tlv(der_sequence, {signed_data_oid, tlv(der_context_0, {signed_data})});
}

Result<SignedModule> sign_module(Bytes file, const SigningKey& key, OldSignature old) {
  const auto compression = codec::module_compression(file);
  Buffer unpacked;
  if (compression != codec::ModuleCompression::none) unpacked = TRY(codec::decompress_module(file, compression));
  const Bytes module = unpacked.empty() ? file : Bytes(unpacked);
  const auto content = TRY(codec::without_module_signatures(module));
  if (content.size() != module.size() && old == OldSignature::refused)
    return fail(ErrorCode::usage, "the module is signed already", "say --replace to take that signature away");
  auto info = TRY(codec::decode_module_info(content));
  auto bytes =
      codec::append_module_signature(content, TRY(module_signature(content, key, "kernel module " + info.name)));
  if (compression != codec::ModuleCompression::none) bytes = TRY(codec::compress_module(bytes, compression));
  return SignedModule{std::move(info), std::move(bytes)};
}

Result<std::vector<SignedModule>> sign_modules(const std::vector<std::string>& paths, const SigningKey& key,
                                               OldSignature old) {
  std::vector<SignedModule> out(paths.size());
  std::atomic<std::size_t> next = 0;
  std::mutex guard;
  std::size_t failed = paths.size();
  Result<void> result;
  const auto one = [&](std::size_t at) -> Result<void> {
    const auto file = TRY(read_file(paths[at], codec::module_cap_bytes));
    out[at] = TRY_IN(paths[at], sign_module(file, key, old));
    return {};
  };
  const auto work = [&] {
    for (auto at = next++; at < paths.size(); at = next++) {
      auto done = one(at);
      if (done) continue;
      // Files are taken in order, so whoever comes to the first bad one has not been stopped by a later one.
      const std::lock_guard lock(guard);
      if (at < failed) failed = at, result = std::move(done);
      next = paths.size();
    }
  };
  std::vector<std::thread> helpers;
  // Each waits for the log to be on the disk before it goes on, and those that wait together share one sync.
  const auto count = std::max(16U, std::thread::hardware_concurrency());
  for (unsigned i = 1; i < count && i < paths.size(); ++i) helpers.emplace_back(work);
  work();
  for (auto& helper : helpers) helper.join();
  TRY(std::move(result));
  return out;
}

}  // namespace ingot::signer
