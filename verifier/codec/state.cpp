#include "ingot/codec/state.hpp"

#include <fmt/format.h>

#include <limits>

#include "ingot/crypto/hash.hpp"
#include "statement.hpp"

namespace ingot::codec {
namespace {

constexpr const char* node_state_format = "ingot-node-state/1";
constexpr const char* accepted_format = "ingot-accepted/1";
constexpr const char* revocations_type = "https://ingot.dev/revocations/v1";
constexpr std::size_t revocation_cap = 65536;

Result<std::uint32_t> number32(const json::Value& document, const char* name) {
  const auto value = TRY(json::number(document, name));
  if (value > std::numeric_limits<std::uint32_t>::max())
    return fail(ErrorCode::malformed, fmt::format("\"{}\" does not fit 32 bits", name));
  return static_cast<std::uint32_t>(value);
}

Result<Digests> read_values(const json::Value& object) {
  Digests values;
  if (!object.is_object()) return fail(ErrorCode::malformed, "\"ima_values\" is not an object");
  for (const auto& [name, value] : object.items()) {
    const auto alg = parse_hash_alg(name);
    if (!alg) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a bank", name));
    const auto digest = TRY(json::hex(value, name));
    if (digest.size() != digest_size_bytes(*alg))
      return fail(ErrorCode::malformed, fmt::format("a {} value of {} bytes", name, digest.size()));
    values[*alg] = digest;
  }
  return values;
}

Result<NodeState> read_state(const json::Value& document) {
  if (TRY(json::text(document, "format")) != node_state_format)
    return fail(ErrorCode::unsupported, fmt::format("not a document of format \"{}\"", node_state_format));
  TRY(json::only(document, {"format", "node", "reset_count", "restart_count", "clock_ms", "ima_count", "ima_values",
                           "volumes"}));
  NodeState state;
  state.node = TRY(json::text(document, "node"));
  state.reset_count = TRY(number32(document, "reset_count"));
  state.restart_count = TRY(number32(document, "restart_count"));
  state.clock_ms = TRY(json::number(document, "clock_ms"));
  state.ima_count = TRY(json::number(document, "ima_count"));
  state.ima_values = TRY(read_values(*TRY(json::member(document, "ima_values"))));
  if (const auto* volumes = json::find(document, "volumes")) {
    if (!volumes->is_object()) return fail(ErrorCode::malformed, "\"volumes\" is not an object");
    for (const auto& [name, value] : volumes->items()) state.volumes[name] = TRY(json::text(*volumes, name.c_str()));
  }
  return state;
}

}  // namespace

std::string encode_node_state(const NodeState& state) {
  auto values = json::Value::object();
  for (const auto& [alg, value] : state.ima_values) values[to_text(alg)] = to_hex(value);
  json::Value document{{"format", node_state_format},
                             {"node", state.node},
                             {"reset_count", state.reset_count},
                             {"restart_count", state.restart_count},
                             {"clock_ms", state.clock_ms},
                             {"ima_count", state.ima_count},
                             {"ima_values", values}};
  if (!state.volumes.empty()) document["volumes"] = state.volumes;
  return json::write(document);
}

Result<NodeState> decode_node_state(Bytes text) {
  if (text.size() > state_cap_bytes) return fail(ErrorCode::limit, "a node's state of more than 1 MiB");
  return TRY_IN("node state", read_state(TRY_IN("node state", json::parse(text))));
}

std::string encode_accepted(const AcceptedVersions& accepted) {
  const json::Value document{{"format", accepted_format}, {"profiles", accepted}};
  return json::write(document);
}

Result<AcceptedVersions> decode_accepted(Bytes text) {
  if (text.size() > state_cap_bytes) return fail(ErrorCode::limit, "a list of accepted versions of more than 1 MiB");
  const auto document = TRY_IN("accepted versions", json::parse(text));
  if (TRY_IN("accepted versions", json::text(document, "format")) != accepted_format)
    return fail(ErrorCode::unsupported, fmt::format("not a document of format \"{}\"", accepted_format));
  TRY_IN("accepted versions", json::only(document, {"format", "profiles"}));
  const auto* profiles = TRY_IN("accepted versions", json::member(document, "profiles"));
  if (!profiles->is_object()) return fail(ErrorCode::malformed, "accepted versions: \"profiles\" is not an object");
  AcceptedVersions accepted;
  for (const auto& [name, value] : profiles->items())
    accepted[name] = TRY_IN("accepted versions", json::number(*profiles, name.c_str()));
  return accepted;
}

std::string encode_revocations_statement(const std::vector<Revocation>& revoked) {
  auto list = json::Value::array();
  for (const auto& one : revoked)
    list.push_back({{"profile", one.profile}, {"version", one.version}, {"why", one.why}});
  const auto predicate = json::Value{{"revoked", list}};
  const auto digest = json::Value{{"sha256", crypto::sha256_hex(as_bytes(predicate.dump()))}};
  return encode_statement("revocations", digest, revocations_type, predicate);
}

Result<std::vector<Revocation>> decode_revocations_statement(Bytes text) {
  const auto predicate = TRY_IN("revocations", decode_statement(text, revocations_type));
  TRY_IN("revocations", json::only(predicate, {"revoked"}));
  std::vector<Revocation> revoked;
  for (const auto& one : *TRY_IN("revocations", json::array(predicate, "revoked", revocation_cap))) {
    TRY_IN("revocations", json::only(one, {"profile", "version", "why"}));
    Revocation revocation;
    revocation.profile = TRY_IN("revocations", json::text(one, "profile"));
    revocation.version = TRY_IN("revocations", json::number(one, "version"));
    revocation.why = TRY_IN("revocations", json::text(one, "why"));
    revoked.push_back(std::move(revocation));
  }
  return revoked;
}

}  // namespace ingot::codec
