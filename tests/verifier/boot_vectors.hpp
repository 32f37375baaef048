// Real boots from vectors/ as evidence, with a TPM of our own that signs for them. See vectors/uki-boot-257.origin.
#pragma once

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <catch2/catch.hpp>
#include <sstream>

#include "evidence_parts.hpp"
#include "ima_entry.hpp"
#include "ingot/base/source.hpp"
#include "ingot/codec/baseline.hpp"
#include "ingot/codec/event_log.hpp"
#include "ingot/codec/evidence.hpp"
#include "ingot/codec/ima.hpp"
#include "ingot/codec/tpm.hpp"
#include "ingot/crypto/hash.hpp"

namespace ingot::test {

inline Buffer vector_file(const std::string& name) {
  auto bytes = read_file(std::string(INGOT_SOURCE) + "/tests/verifier/vectors/" + name, 1u << 20);
  if (!bytes) FAIL(describe(bytes.error()));
  return *std::move(bytes);
}

/// "bank index VALUE" lines.
inline PcrValues vector_pcrs(const std::string& name) {
  const auto text = vector_file(name);
  std::istringstream in{std::string(as_text(text))};
  PcrValues pcrs;
  std::string bank, value;
  for (PcrIndex index = 0; in >> bank >> index >> value;)
    pcrs[parse_hash_alg(bank).value()][index] = parse_hex(value).value();
  REQUIRE(!pcrs.empty());
  return pcrs;
}

/// A P-256 key that plays a TPM's attestation key.
class SoftwareTpm {
 public:
  SoftwareTpm() : key_(EVP_EC_gen("P-256")) { REQUIRE(key_ != nullptr); }
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;
  ~SoftwareTpm() { EVP_PKEY_free(key_); }

  [[nodiscard]] codec::TpmPublic public_area() const {
    auto object = codec::attestation_key_template();
    auto& ecc = std::get<codec::TpmEcc>(object.key);
    ecc.x = number(OSSL_PKEY_PARAM_EC_PUB_X);
    ecc.y = number(OSSL_PKEY_PARAM_EC_PUB_Y);
    return object;
  }
  [[nodiscard]] codec::TpmSignature sign(Bytes message) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t size = 128;
    Buffer der(size);
    REQUIRE(EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_) == 1);
    REQUIRE(EVP_DigestSign(context, der.data(), &size, message.data(), message.size()) == 1);
    EVP_MD_CTX_free(context);
    const unsigned char* at = der.data();
    ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
    codec::TpmSignature signature{{codec::TpmAlg::ecdsa, HashAlg::sha256}, {}, Buffer(32), Buffer(32)};
    BN_bn2binpad(ECDSA_SIG_get0_r(parts), signature.r.data(), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(parts), signature.s.data(), 32);
    ECDSA_SIG_free(parts);
    return signature;
  }

 private:
  [[nodiscard]] Buffer number(const char* name) const {
    BIGNUM* value = nullptr;
    REQUIRE(EVP_PKEY_get_bn_param(key_, name, &value) == 1);
    Buffer out(32);
    BN_bn2binpad(value, out.data(), 32);
    BN_free(value);
    return out;
  }
  EVP_PKEY* key_;
};

inline void sign(Evidence& evidence, const SoftwareTpm& tpm, const codec::TpmQuote& quote) {
  evidence.quote_attest = codec::encode_tpm_quote(quote);
  evidence.quote_signature = codec::encode_tpm_signature(tpm.sign(evidence.quote_attest));
  evidence.ak_public = codec::encode_tpm_public(tpm.public_area());
}
inline void sign(Evidence& evidence, const SoftwareTpm& tpm) { sign(evidence, tpm, quote_of(evidence)); }

inline const SoftwareTpm& software_tpm() {
  static const SoftwareTpm tpm;
  return tpm;
}

/// The list of a kernel that measures nothing but that it booted (Linux, ima_init.c, "ima_add_boot_aggregate").
inline std::vector<codec::ImaEntry> boot_aggregate_list(const PcrValues& pcrs) {
  crypto::Hasher hasher(HashAlg::sha256);
  for (PcrIndex pcr = 0; pcr < 10; ++pcr) hasher.update(pcrs.at(HashAlg::sha256).at(pcr));
  return {ima_entry("ima-sig", "boot_aggregate", hasher.finish())};  // Debian 13's default template
}
/// Evidence of a captured boot: log and PCR values are the machine's, the quote is ours.
inline Evidence captured(const std::string& name) {
  Evidence evidence;
  evidence.node = "node-1";
  evidence.nonce = {1, 2, 3, 4};
  evidence.event_log = vector_file(name + ".bin");
  evidence.pcrs = vector_pcrs(name + ".pcrs");
  evidence.kernel_command_line = std::string(as_text(vector_file("uki-boot-257.cmdline")));
  evidence.ima_log = codec::encode_ima(boot_aggregate_list(evidence.pcrs));  // PCR 10 is the machine's, too
  sign(evidence, software_tpm());
  return evidence;
}

/// What a machine would hold after this log: for boots that we make up from a captured one.
inline void follow_log(Evidence& evidence, const codec::EventLog& log) {
  evidence.event_log = codec::encode_event_log(log);
  const auto replayed = codec::replay(log);
  for (auto& [bank, values] : evidence.pcrs)
    for (PcrIndex pcr = 0; pcr < codec::quoted_pcr_count; ++pcr) {
      const auto found = replayed.at(bank).find(pcr);
      values[pcr] = found == replayed.at(bank).end() ? Buffer(digest_size_bytes(bank), 0) : found->second;
    }
  measure_files(evidence, boot_aggregate_list(evidence.pcrs));
  sign(evidence, software_tpm());
}

}  // namespace ingot::test
