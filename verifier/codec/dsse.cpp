#include "ingot/codec/dsse.hpp"

#include <fmt/format.h>

#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t signature_count_cap = 16;
constexpr const char* remedy = "give a DSSE envelope, as `ingot build` writes it";

/// A member that is there and is base64 (RFC 4648, "Base 64 Encoding"; the URL-safe alphabet is not taken).
Result<Buffer> base64(const json::Value& object, const char* name) {
  TRY(json::member(object, name));
  return json::optional_base64(object, name);
}

Result<DsseEnvelope> read_envelope(Bytes text) {
  const auto document = TRY(json::parse(text));
  DsseEnvelope envelope;
  envelope.payload_type = TRY(json::text(document, "payloadType"));
  envelope.payload = TRY(base64(document, "payload"));
  for (const auto& one : *TRY(json::array(document, "signatures", signature_count_cap))) {
    DsseEnvelope::Signature signature;
    signature.key_id = TRY(json::optional_text(one, "keyid"));
    signature.signature = TRY(base64(one, "sig"));
    envelope.signatures.push_back(std::move(signature));
  }
  return envelope;
}

}  // namespace

Buffer pre_authentication_encoding(std::string_view payload_type, Bytes payload) {
  Buffer out = to_buffer(as_bytes(fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size())));
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

std::string encode_dsse(const DsseEnvelope& envelope) {
  auto signatures = json::Value::array();
  for (const auto& one : envelope.signatures)
    signatures.push_back({{"keyid", one.key_id}, {"sig", to_base64(one.signature)}});
  const json::Value document = {{"payloadType", envelope.payload_type},
                                {"payload", to_base64(envelope.payload)},
                                {"signatures", std::move(signatures)}};
  // Invalid UTF-8 is replaced: nlohmann throws on it otherwise.
  return document.dump(-1, ' ', false, json::Value::error_handler_t::replace) + "\n";
}

// Protocol: members that are not known are ignored.
Result<DsseEnvelope> decode_dsse(Bytes json) {
  auto envelope = read_envelope(json);
  if (envelope) return envelope;
  auto error = std::move(envelope).error().in("signed document");
  error.remedy = remedy;
  return fail(std::move(error));
}

Result<Buffer> open_dsse(const DsseEnvelope& envelope, std::string_view payload_type, const crypto::PublicKey& key) {
  if (envelope.payload_type != payload_type)
    return fail(ErrorCode::malformed,
                fmt::format("the envelope holds \"{}\", not \"{}\"", envelope.payload_type, payload_type),
                "give a document of the kind that is asked for");
  const auto message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  // keyid is a hint only (protocol: "MUST NOT be used for security decisions"): every signature is tried.
  for (const auto& one : envelope.signatures)
    if (key.verify(HashAlg::sha256, message, one.signature)) return envelope.payload;
  return fail(ErrorCode::crypto, fmt::format("no signature by the trusted key {}", key.key_id().substr(0, 16)),
              "give the public key that belongs to the key that signed it");
}

}  // namespace ingot::codec
