#include "identity.hpp"

#include <algorithm>

#include "ingot/base/source.hpp"
#include "ingot/codec/enrolment.hpp"

namespace ingot::agent {
namespace {

// TCG EK Credential Profile 2.5, "NV Index Assignments": certificates of the issuers.
constexpr std::uint32_t first_chain_index = 0x01C00100;
constexpr std::uint32_t chain_index_count = 16;
constexpr std::uint64_t machine_id_bytes = 64;

/// A key in the TPM for as long as it lives.
class ScopedKey {
 public:
  static Result<ScopedKey> create(TpmDevice& tpm, const codec::TpmPublic& key_template) {
    return ScopedKey(tpm, TRY(tpm.create_primary(key_template)));
  }
  ScopedKey(ScopedKey&& other) noexcept : tpm_(std::exchange(other.tpm_, nullptr)), key_(std::move(other.key_)) {}
  ScopedKey& operator=(ScopedKey&&) = delete;
  ~ScopedKey() {
    if (tpm_ != nullptr) (void)tpm_->flush(key_.handle);
  }
  [[nodiscard]] std::uint32_t handle() const { return key_.handle; }
  [[nodiscard]] const Buffer& public_area() const { return key_.public_area; }

 private:
  ScopedKey(TpmDevice& tpm, LoadedKey key) : tpm_(&tpm), key_(std::move(key)) {}
  TpmDevice* tpm_;
  LoadedKey key_;
};

codec::KeyKind kind_of(const codec::TpmPublic& key) {
  return std::holds_alternative<codec::TpmRsa>(key.key) ? codec::KeyKind::rsa : codec::KeyKind::ecc;
}

}  // namespace

Result<FoundEndorsementKey> find_endorsement_key(TpmDevice& tpm) {
  for (const auto& kind : codec::endorsement_keys()) {
    auto certificate = tpm.read_nv(kind.certificate_index);
    if (certificate) return FoundEndorsementKey{kind, *std::move(certificate)};
    if (certificate.error().code != ErrorCode::missing)
      return fail(std::move(certificate).error().in("the endorsement key's certificate"));
  }
  return FoundEndorsementKey{codec::endorsement_keys().front(), {}};
}

Result<TpmIdentity> read_identity(TpmDevice& tpm, codec::KeyKind key) {
  auto found = TRY(find_endorsement_key(tpm));
  TpmIdentity identity;
  identity.ek_certificate = std::move(found.certificate);
  for (std::uint32_t i = 0; i < chain_index_count; ++i)
    if (auto certificate = tpm.read_nv(first_chain_index + i)) identity.ek_chain.push_back(*std::move(certificate));
  const auto ek = TRY_IN("making the endorsement key", ScopedKey::create(tpm, found.kind.key));
  identity.ek_public = ek.public_area();
  const auto ak = TRY_IN("making the attestation key", ScopedKey::create(tpm, codec::attestation_key_template(key)));
  identity.ak_public = ak.public_area();
  if (const auto id = read_file("/etc/machine-id", machine_id_bytes)) {
    const auto text = as_text(*id).substr(0, as_text(*id).find('\n'));
    // It may say "uninitialized", too (machine-id(5)).
    if (codec::is_machine_id(text)) identity.machine_id = text;
  }
  return identity;
}

Result<EnrolmentActivation> activate(TpmDevice& tpm, const EnrolmentChallenge& challenge) {
  const auto wanted_ek = TRY_IN("the challenge's endorsement key", codec::decode_tpm_public(challenge.ek_public));
  const auto wanted_ak = TRY_IN("the challenge's attestation key", codec::decode_tpm_public(challenge.ak_public));
  const auto kinds = codec::endorsement_keys();
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const auto& one) { return codec::is_made_from(wanted_ek, one.key); });
  if (kind == kinds.end())
    return fail(ErrorCode::unsupported, "the challenge is for an endorsement key of no known template");
  const auto ek = TRY_IN("making the endorsement key", ScopedKey::create(tpm, kind->key));
  if (ek.public_area() != challenge.ek_public)
    return fail(ErrorCode::crypto, "the challenge is for another TPM: its endorsement key is not this one's",
                "give this node's own challenge, or make a new one from its identity");
  const auto ak =
      TRY_IN("making the attestation key", ScopedKey::create(tpm, codec::attestation_key_template(kind_of(wanted_ak))));
  if (ak.public_area() != challenge.ak_public)
    return fail(ErrorCode::crypto, "the challenge is for another attestation key than this TPM makes",
                "was the TPM cleared? make a new challenge from the node's identity");
  auto secret = TRY_IN("activating the credential", tpm.activate(ak.handle(), ek.handle(), kind->by_policy,
                                                                 challenge.id_object, challenge.encrypted_secret));
  return EnrolmentActivation{challenge.node, std::move(secret)};
}

}  // namespace ingot::agent
