#include "ingot/codec/dsse.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace ingot::codec {
namespace {

constexpr std::size_t signature_count_cap = 16;

Error malformed(std::string message) {
  return Error{ErrorCode::malformed, std::move(message), "give a DSSE envelope, as `ingot build` writes it", std::nullopt, std::nullopt};
}

Result<std::string> text_member(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return fail(malformed(fmt::format("the envelope has no text \"{}\"", name)));
  return found->get<std::string>();
}

Result<Buffer> base64_member(const nlohmann::json& object, const char* name) {
  auto bytes = parse_base64(TRY(text_member(object, name)));
  if (!bytes) return fail(malformed(fmt::format("\"{}\" of the envelope is not base64", name)));
  return *std::move(bytes);
}

}  // namespace

Buffer pre_authentication_encoding(std::string_view payload_type, Bytes payload) {
  Buffer out = to_buffer(as_bytes(fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size())));
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

std::string encode_dsse(const DsseEnvelope& envelope) {
  auto signatures = nlohmann::json::array();
  for (const auto& one : envelope.signatures)
    signatures.push_back({{"keyid", one.key_id}, {"sig", to_base64(one.signature)}});
  return nlohmann::json{{"payloadType", envelope.payload_type}, {"payload", to_base64(envelope.payload)}, {"signatures", signatures}}.dump() + "\n";
}

Result<DsseEnvelope> decode_dsse(Bytes json) {
  const auto document = nlohmann::json::parse(json.begin(), json.end(), nullptr, false);
  if (!document.is_object()) return fail(malformed("not a signed document: no JSON object"));
  DsseEnvelope envelope;
  envelope.payload_type = TRY(text_member(document, "payloadType"));
  envelope.payload = TRY(base64_member(document, "payload"));
  const auto signatures = document.find("signatures");
  if (signatures == document.end() || !signatures->is_array()) return fail(malformed("the envelope has no \"signatures\""));
  if (signatures->size() > signature_count_cap) return fail(ErrorCode::limit, "more than 16 signatures");
  for (const auto& one : *signatures) {
    if (!one.is_object()) return fail(malformed("a signature of the envelope is not an object"));
    const auto key_id = one.find("keyid");
    envelope.signatures.push_back({key_id != one.end() && key_id->is_string() ? key_id->get<std::string>() : "", TRY(base64_member(one, "sig"))});
  }
  return envelope;
}

Result<Buffer> open_dsse(const DsseEnvelope& envelope, std::string_view payload_type, const crypto::PublicKey& key) {
  if (envelope.payload_type != payload_type)
    return fail(malformed(fmt::format("the envelope holds \"{}\", not \"{}\"", envelope.payload_type, payload_type)));
  const auto message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  // keyid is a hint only (protocol: "MUST NOT be used for security decisions"): every signature is tried.
  for (const auto& one : envelope.signatures)
    if (key.verify(HashAlg::sha256, message, one.signature)) return envelope.payload;
  return fail(ErrorCode::crypto, fmt::format("no signature by the trusted key {}", key.key_id().substr(0, 16)),
              "give the public key that belongs to the key that signed it");
}

}  // namespace ingot::codec
