#include "ingot/codec/enrolment.hpp"

#include <fmt/format.h>

#include "statement.hpp"

namespace ingot::codec {
namespace {

constexpr const char* identity_format = "ingot-identity/1";
constexpr const char* challenge_format = "ingot-challenge/1";
constexpr const char* activation_format = "ingot-activation/1";
constexpr const char* pending_format = "ingot-pending/1";
constexpr const char* enrolment_type = "https://ingot.dev/enrolment/v1";
constexpr std::size_t chain_cap = 16;
constexpr std::size_t note_cap = 64;

/// A document of that format with those members and no others.
Result<json::Value> read_document(Bytes text, const char* format, std::initializer_list<std::string_view> members) {
  if (text.size() > enrolment_document_cap_bytes) return fail(ErrorCode::limit, "a document of more than 1 MiB");
  auto document = TRY(json::parse(text));
  const auto found = TRY(json::text(document, "format"));
  if (found != format)
    return fail(ErrorCode::unsupported,
                fmt::format("a document of format \"{}\" where \"{}\" is wanted", found, format),
                "check which file was given for which option");
  TRY(json::only(document, members));
  return document;
}

/// Base64 that must be there and not be empty.
Result<Buffer> needed(const json::Value& document, const char* name) {
  TRY(json::member(document, name));
  auto bytes = TRY(json::optional_base64(document, name));
  if (bytes.empty()) return fail(ErrorCode::malformed, fmt::format("\"{}\" is empty", name));
  return bytes;
}

Result<std::vector<std::string>> texts(const json::Value& document, const char* name) {
  std::vector<std::string> out;
  for (const auto& one : *TRY(json::array(document, name, note_cap))) {
    if (!one.is_string())
      return fail(ErrorCode::malformed, fmt::format("\"{}\" holds something else than texts", name));
    out.push_back(one.get<std::string>());
  }
  return out;
}

/// Empty where there is no such member.
Result<std::string> machine_id(const json::Value& document) {
  auto id = TRY(json::optional_text(document, "machine_id"));
  if (!id.empty() && !is_machine_id(id))
    return fail(ErrorCode::malformed, "\"machine_id\" is not 32 lower-case hexadecimal digits");
  return id;
}

json::Value identity_members(const TpmIdentity& identity) {
  auto chain = json::Value::array();
  for (const auto& certificate : identity.ek_chain) chain.push_back({{"der", to_base64(certificate)}});
  return {{"ek_public", to_base64(identity.ek_public)},
          {"ek_certificate", to_base64(identity.ek_certificate)},
          {"ek_chain", chain},
          {"ak_public", to_base64(identity.ak_public)},
          {"machine_id", identity.machine_id}};
}

Result<TpmIdentity> read_identity(const json::Value& document) {
  TpmIdentity identity;
  identity.ek_public = TRY(needed(document, "ek_public"));
  identity.ek_certificate = TRY(json::optional_base64(document, "ek_certificate"));
  identity.ak_public = TRY(needed(document, "ak_public"));
  identity.machine_id = TRY(machine_id(document));
  for (const auto& one : *TRY(json::array(document, "ek_chain", chain_cap))) {
    TRY(json::only(one, {"der"}));
    identity.ek_chain.push_back(TRY(needed(one, "der")));
  }
  return identity;
}

}  // namespace

bool is_machine_id(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string encode_identity(const TpmIdentity& identity) {
  auto document = identity_members(identity);
  document["format"] = identity_format;
  return json::write(document);
}

Result<TpmIdentity> decode_identity(Bytes text) {
  const auto document = TRY_IN(
      "identity", read_document(text, identity_format,
                                {"format", "ek_public", "ek_certificate", "ek_chain", "ak_public", "machine_id"}));
  return TRY_IN("identity", read_identity(document));
}

std::string encode_challenge(const EnrolmentChallenge& challenge) {
  return json::write({{"format", challenge_format},
                      {"node", challenge.node},
                      {"ek_public", to_base64(challenge.ek_public)},
                      {"ak_public", to_base64(challenge.ak_public)},
                      {"id_object", to_base64(challenge.id_object)},
                      {"encrypted_secret", to_base64(challenge.encrypted_secret)}});
}

Result<EnrolmentChallenge> decode_challenge(Bytes text) {
  const auto document =
      TRY_IN("challenge", read_document(text, challenge_format,
                                        {"format", "node", "ek_public", "ak_public", "id_object", "encrypted_secret"}));
  EnrolmentChallenge challenge;
  challenge.node = TRY_IN("challenge", json::text(document, "node"));
  challenge.ek_public = TRY_IN("challenge", needed(document, "ek_public"));
  challenge.ak_public = TRY_IN("challenge", needed(document, "ak_public"));
  challenge.id_object = TRY_IN("challenge", needed(document, "id_object"));
  challenge.encrypted_secret = TRY_IN("challenge", needed(document, "encrypted_secret"));
  return challenge;
}

std::string encode_activation(const EnrolmentActivation& activation) {
  return json::write(
      {{"format", activation_format}, {"node", activation.node}, {"secret", to_base64(activation.secret)}});
}

Result<EnrolmentActivation> decode_activation(Bytes text) {
  const auto document = TRY_IN("activation", read_document(text, activation_format, {"format", "node", "secret"}));
  EnrolmentActivation activation;
  activation.node = TRY_IN("activation", json::text(document, "node"));
  activation.secret = TRY_IN("activation", needed(document, "secret"));
  return activation;
}

std::string encode_pending(const PendingEnrolment& pending) {
  return json::write({{"format", pending_format},
                      {"node", pending.node},
                      {"identity", identity_members(pending.identity)},
                      {"secret_sha256", to_hex(pending.secret_sha256)},
                      {"trusted_by", pending.trusted_by},
                      {"notes", pending.notes},
                      {"pin_machine_id", pending.pin_machine_id}});
}

Result<PendingEnrolment> decode_pending(Bytes text) {
  const auto document =
      TRY_IN("pending enrolment",
             read_document(text, pending_format,
                           {"format", "node", "identity", "secret_sha256", "trusted_by", "notes", "pin_machine_id"}));
  PendingEnrolment pending;
  pending.node = TRY_IN("pending enrolment", json::text(document, "node"));
  const auto* identity = TRY_IN("pending enrolment", json::member(document, "identity"));
  TRY_IN("pending enrolment",
         json::only(*identity, {"ek_public", "ek_certificate", "ek_chain", "ak_public", "machine_id"}));
  pending.identity = TRY_IN("pending enrolment", read_identity(*identity));
  const auto* digest = TRY_IN("pending enrolment", json::member(document, "secret_sha256"));
  pending.secret_sha256 = TRY_IN("pending enrolment", json::hex(*digest, "secret_sha256"));
  pending.trusted_by = TRY_IN("pending enrolment", json::text(document, "trusted_by"));
  pending.notes = TRY_IN("pending enrolment", texts(document, "notes"));
  if (const auto* pin = json::find(document, "pin_machine_id")) {
    if (!pin->is_boolean()) return fail(ErrorCode::malformed, "pending enrolment: \"pin_machine_id\" is not a boolean");
    pending.pin_machine_id = pin->get<bool>();
    if (pending.pin_machine_id && pending.identity.machine_id.empty())
      return fail(ErrorCode::malformed, "pending enrolment: there is no machine id to pin");
  }
  return pending;
}

std::string encode_enrolment_statement(const Enrolment& enrolment) {
  json::Value predicate{{"node", enrolment.node},
                        {"ek_sha256", enrolment.ek_sha256},
                        {"ak_public", to_base64(enrolment.ak_public)},
                        {"trusted_by", enrolment.trusted_by},
                        {"notes", enrolment.notes},
                        {"machine_id", enrolment.machine_id}};
  return encode_statement(enrolment.node, {{"sha256", enrolment.ek_sha256}}, enrolment_type, std::move(predicate));
}

Result<Enrolment> decode_enrolment_statement(Bytes text) {
  const auto predicate = TRY_IN("enrolment", decode_statement(text, enrolment_type));
  TRY_IN("enrolment", json::only(predicate, {"node", "ek_sha256", "ak_public", "trusted_by", "notes", "machine_id"}));
  Enrolment enrolment;
  enrolment.node = TRY_IN("enrolment", json::text(predicate, "node"));
  enrolment.ek_sha256 = TRY_IN("enrolment", json::text(predicate, "ek_sha256"));
  enrolment.ak_public = TRY_IN("enrolment", needed(predicate, "ak_public"));
  enrolment.trusted_by = TRY_IN("enrolment", json::text(predicate, "trusted_by"));
  enrolment.notes = TRY_IN("enrolment", texts(predicate, "notes"));
  enrolment.machine_id = TRY_IN("enrolment", machine_id(predicate));
  return enrolment;
}

}  // namespace ingot::codec
