// DSSE envelopes, PCR policy signatures, Secure Boot key lists.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "ingot/base/source.hpp"
#include "ingot/base/writer.hpp"
#include "ingot/codec/authenticated_variable.hpp"
#include "ingot/codec/esl.hpp"
#include "ingot/codec/pcr_signature.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/measure/revocation.hpp"
#include "ingot/measure/tpm_policy.hpp"
#include "ingot/signer/sign.hpp"

namespace ingot::signer {
namespace {

/// A fresh policy session in which PCR 11 of the SHA-256 bank, alone, has this value.
Result<Buffer> policy_pcr11(const Baseline::PhaseValue& phase) {
  const auto value = phase.value.find(HashAlg::sha256);
  if (value == phase.value.end()) return fail(ErrorCode::internal, "a boot phase without a SHA-256 value");
  return measure::policy_pcr(HashAlg::sha256, measure::policy_start(HashAlg::sha256), {{HashAlg::sha256, {11}}},
                             {{HashAlg::sha256, {{11, value->second}}}});
}

/// Entries of a bank in .pcrsig, one a phase.
Result<std::string> sha256_entries(const std::vector<Baseline::PhaseValue>& phases, const SigningKey& key) {
  const auto fingerprint = crypto::sha256_hex(TRY(key.public_key().rsa_public_key_der()));
  // The SHA-256 bank alone: systemd-measure 257 signs the policy of another bank with that bank's hash, while systemd
  // has the TPM verify every signature as SHA-256.
  std::string entries;
  for (const auto& phase : phases) {
    const auto policy = TRY(policy_pcr11(phase));
    const auto signature = TRY(key.sign({"PCR 11 policy " + phase.phase_path, policy}, HashAlg::sha256, policy));
    entries += fmt::format(R"({}{{"pcrs":[11],"pkfp":"{}","pol":"{}","sig":"{}"}})", entries.empty() ? "" : ",",
                           fingerprint, to_hex(policy), to_base64(signature));
  }
  return entries;
}

/// The image's time of birth has no meaning for keys that are replaced by redeploying; a fixed time keeps VARS.fd the
/// same.
constexpr codec::EfiTime enrolment_time{2024, 1, 1, 0, 0, 0};

/// The lists of a file behind those that are there; the file may be missing.
Result<Buffer> with_more(Buffer lists, const std::string& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return lists;
  const auto more = TRY(read_file(path, codec::authenticated_update_cap_bytes));
  TRY_IN(path, codec::decode_signature_lists(more));
  lists.insert(lists.end(), more.begin(), more.end());
  return lists;
}

/// RFC 7515, "Terminology": no padding, and an alphabet for addresses.
std::string base64url(Bytes bytes) {
  auto text = to_base64(bytes);
  text.erase(std::find(text.begin(), text.end(), '='), text.end());
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

}  // namespace

Result<std::string> pcr_signature_json(const std::vector<Baseline::PhaseValue>& phases, const SigningKey& key) {
  return fmt::format("{{\"sha256\":[{}]}}\n", TRY(sha256_entries(phases, key)));
}

Result<std::string> release_signature_json(const Baseline::PhaseValue& initrd, std::uint32_t generation,
                                           const SigningKey& key, const SystemPolicies& system) {
  if (generation == 0 || generation > measure::generation_cap)
    return fail(ErrorCode::limit, fmt::format("generation {} of 1 to {}", generation, measure::generation_cap));
  codec::ReleaseSignature release{generation, TRY(policy_pcr11(initrd)), {}};
  release.signature =
      TRY(key.sign({fmt::format("PCR 11 policy {} of generation {}", initrd.phase_path, generation), release.policy},
                   HashAlg::sha256, Writer{}.bytes(release.policy).bytes(measure::generation_ref(generation)).view()));
  auto entries = TRY(sha256_entries({initrd}, key));
  if (system.key != nullptr && !system.phases.empty()) entries += "," + TRY(sha256_entries(system.phases, *system.key));
  return fmt::format("{{\"sha256\":[{}],{}}}\n", entries, codec::encode_release_signature(release));
}

Result<codec::DsseEnvelope> sign_dsse(std::string_view payload_type, Bytes payload, const SigningKey& key,
                                      std::string_view what) {
  const auto message = codec::pre_authentication_encoding(payload_type, payload);
  auto signature = TRY(key.sign({std::string(what), crypto::sha256(payload)}, HashAlg::sha256, message));
  return codec::DsseEnvelope{
      std::string(payload_type), to_buffer(payload), {{key.public_key().key_id(), std::move(signature)}}};
}

Result<std::string> sign_jwt(std::string_view claims_json, const SigningKey& key) {
  const auto header = fmt::format(R"({{"alg":"ES256","kid":"{}","typ":"JWT"}})", key.public_key().key_id());
  const auto message = base64url(as_bytes(header)) + "." + base64url(as_bytes(claims_json));
  return message + "." +
         base64url(TRY(key.sign_es256({"verdict", crypto::sha256(as_bytes(claims_json))}, as_bytes(message))));
}

Result<codec::SecureBootKeys> secure_boot_keys(const KeyFolder& keys) {
  const auto owner = TRY(owner_guid(keys));
  const auto list = [&](const char* name) -> Result<Buffer> {
    const auto certificate = TRY(keys.certificate_of(name));
    return codec::encode_signature_lists({codec::x509_list(owner, certificate.der())});
  };
  // An empty dbx cannot be told from one that was deleted: one entry that matches nothing marks it as ours.
  const codec::SignatureList nothing{codec::efi_cert_sha256_guid, {}, {{owner, Buffer(32)}}};
  auto pk = TRY(list("PK"));
  auto kek = TRY(list("KEK"));
  auto db = TRY(with_more(TRY(list("db")), keys.path + "/db.esl"));
  auto dbx = TRY(with_more(codec::encode_signature_lists({nothing}), keys.path + "/dbx.esl"));
  return codec::SecureBootKeys{std::move(pk), std::move(kek), std::move(db), std::move(dbx), enrolment_time};
}

}  // namespace ingot::signer
