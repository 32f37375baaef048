#include "ingot/fleet/enrolment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/chain.hpp"
#include "ingot/crypto/hash.hpp"
#include "ingot/crypto/random.hpp"
#include "ingot/fleet/credential.hpp"

namespace ingot::fleet {
namespace {

constexpr std::size_t secret_size_bytes = 32;
constexpr std::size_t node_id_cap = 128;
constexpr const char* ek_certificate_usage = "2.23.133.8.1";  // tcg-kp-EKCertificate

bool is_all(Bytes bytes, std::uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::uint8_t byte) { return byte == value; });
}

/// A certificate as NV holds it: "nv-padding" is the name of what may stand behind it.
Result<crypto::Certificate> read_certificate(Bytes nv, std::vector<std::string>& notes) {
  const auto size = crypto::der_element_size(nv);
  if (!size) return fail(ErrorCode::malformed, "not a certificate in DER");
  const Bytes behind = nv.subspan(*size);
  if (!behind.empty() && !is_all(behind, 0xFF) && !is_all(behind, 0))
    return fail(ErrorCode::malformed, "bytes that are no padding follow the certificate");
  if (!behind.empty()) notes.emplace_back("nv-padding");
  return crypto::Certificate::from_der(nv.first(*size));
}

/// NV holds the issuers' certificates one behind the other, split over indexes wherever one is full.
std::vector<crypto::Certificate> read_chain(const std::vector<Buffer>& parts) {
  Buffer all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  std::vector<crypto::Certificate> chain;
  Bytes rest = all;
  while (const auto size = crypto::der_element_size(rest)) {
    auto certificate = crypto::Certificate::from_der(rest.first(*size));
    if (!certificate) break;  // untrusted, and not needed where the operator's own list is complete
    chain.push_back(*std::move(certificate));
    rest = rest.subspan(*size);
  }
  return chain;
}

Result<void> check_certificate(const TpmIdentity& identity, const EnrolmentPolicy& policy, Bytes ek_spki,
                               PendingEnrolment& pending) {
  const auto certificate = TRY_IN("the EK certificate", read_certificate(identity.ek_certificate, pending.notes));
  if (certificate.public_key().spki_der() != to_buffer(ek_spki))
    return fail(ErrorCode::crypto, "the EK certificate is about another key than the TPM's endorsement key");
  if (!crypto::allows_usage(certificate, ek_certificate_usage))
    return fail(ErrorCode::crypto, "the certificate is not one of an endorsement key (extended key usage)");
  const auto chain = crypto::verify_chain(certificate, {read_chain(identity.ek_chain), policy.roots, policy.now});
  if (!chain)
    return fail(ErrorCode::crypto,
                fmt::format("the EK certificate leads to none of the configured roots: {}", chain.error().message),
                "a software TPM, or a maker whose certificate authority is missing from --roots");
  if (chain->expired) pending.notes.emplace_back("ek-expired");
  pending.trusted_by = fmt::format("EK certificate under {}", chain->anchor);
  return {};
}

Result<void> check_endorsement_key(const TpmIdentity& identity, const EnrolmentPolicy& policy,
                                   PendingEnrolment& pending) {
  if (policy.roots.empty() && policy.allowed_ek_sha256.empty())
    return fail(ErrorCode::usage, "neither roots nor an allow-list of endorsement keys: nothing could be trusted");
  const auto ek = TRY_IN("the endorsement key", codec::decode_tpm_public(identity.ek_public));
  const auto kinds = codec::endorsement_keys();
  if (std::none_of(kinds.begin(), kinds.end(), [&](const auto& kind) { return codec::is_made_from(ek, kind.key); }))
    return fail(ErrorCode::crypto, "the endorsement key is not made from one of TCG's templates");
  const auto spki = TRY_IN("the endorsement key", codec::public_key(ek)).spki_der();
  if (policy.allowed_ek_sha256.contains(crypto::sha256_hex(spki))) {
    pending.trusted_by = "allow-list";
    return {};
  }
  if (identity.ek_certificate.empty())
    return fail(
        ErrorCode::crypto,
        fmt::format("the TPM has no EK certificate, and its key {} is not on the allow-list", crypto::sha256_hex(spki)),
        "compare the key with what the hardware's vendor says, then put it on the list");
  if (policy.roots.empty())
    return fail(ErrorCode::crypto,
                fmt::format("the endorsement key {} is not on the allow-list", crypto::sha256_hex(spki)));
  return check_certificate(identity, policy, spki, pending);
}

Result<void> check_attestation_key(const TpmIdentity& identity) {
  const auto ak = TRY_IN("the attestation key", codec::decode_tpm_public(identity.ak_public));
  for (const auto kind : {codec::KeyKind::ecc, codec::KeyKind::rsa})
    if (codec::is_made_from(ak, codec::attestation_key_template(kind))) return {};
  return fail(
      ErrorCode::crypto,
      "the attestation key is not a restricted signing key made from Ingot's template: it could sign what no TPM "
      "said");
}

}  // namespace

Result<void> check_node_id(std::string_view node) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const bool sound =
      !node.empty() && node.size() <= node_id_cap && is_plain(node.front()) &&
      std::all_of(node.begin(), node.end(), [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
  if (sound) return {};
  return fail(ErrorCode::usage, fmt::format("\"{}\" is not a node id", node),
              "use letters, digits, '.', '_' and '-', at most 128");
}

Result<std::string> endorsement_key_sha256(Bytes tpmt_public) {
  return crypto::sha256_hex(TRY(codec::public_key(TRY(codec::decode_tpm_public(tpmt_public)))).spki_der());
}

Result<StartedEnrolment> start_enrolment(const std::string& node, const TpmIdentity& identity,
                                         const EnrolmentPolicy& policy) {
  TRY(check_node_id(node));
  PendingEnrolment pending;
  pending.node = node;
  pending.identity = identity;
  pending.pin_machine_id = policy.pin_machine_id;
  if (policy.pin_machine_id && identity.machine_id.empty())
    return fail(ErrorCode::usage, "the identity has no machine id to pin",
                "does the node's image set /etc/machine-id?");
  TRY(check_endorsement_key(identity, policy, pending));
  TRY(check_attestation_key(identity));
  // The name is computed here: one that the node sent could be another key's.
  const auto ak_name = TRY(codec::object_name(identity.ak_public));
  const auto secret = crypto::random_bytes(secret_size_bytes);
  pending.secret_sha256 = crypto::sha256(secret);
  auto credential = TRY_IN("the endorsement key",
                           make_credential(TRY(codec::decode_tpm_public(identity.ek_public)), ak_name, secret));
  EnrolmentChallenge challenge{node, identity.ek_public, identity.ak_public, std::move(credential.id_object),
                               std::move(credential.encrypted_secret)};
  return StartedEnrolment{std::move(pending), std::move(challenge)};
}

Result<Enrolment> finish_enrolment(const PendingEnrolment& pending, const EnrolmentActivation& activation) {
  if (activation.node != pending.node)
    return fail(ErrorCode::crypto, fmt::format("the activation is of node \"{}\", the challenge was for \"{}\"",
                                               activation.node, pending.node));
  if (crypto::sha256(activation.secret) != pending.secret_sha256)
    return fail(ErrorCode::crypto, "the activation's secret is not the challenge's",
                "it answers another challenge, or no TPM opened it");
  auto ek_sha256 = TRY(endorsement_key_sha256(pending.identity.ek_public));
  return Enrolment{pending.node,       std::move(ek_sha256), pending.identity.ak_public,
                   pending.trusted_by, pending.notes,        pending.pin_machine_id ? pending.identity.machine_id : ""};
}

Result<void> check_bound_once(const std::vector<Enrolment>& known, const Enrolment& fresh) {
  for (const auto& one : known) {
    if (one.node == fresh.node && one.ek_sha256 != fresh.ek_sha256)
      return fail(ErrorCode::crypto,
                  fmt::format("node \"{}\" is bound to another TPM (endorsement key {})", one.node, one.ek_sha256),
                  "a replaced machine gets a new node id; or remove the old record, knowing why");
    if (one.node != fresh.node && one.ek_sha256 == fresh.ek_sha256)
      return fail(ErrorCode::crypto, fmt::format("this TPM is bound to node \"{}\" already", one.node),
                  "one TPM is one node; remove the old record, knowing why");
  }
  return {};
}

}  // namespace ingot::fleet
