#include "ingot/codec/evidence.hpp"

#include <fmt/format.h>

#include <charconv>

#include "ingot/base/writer.hpp"
#include "ingot/codec/report.hpp"
#include "ingot/crypto/hash.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr const char* format_name = "ingot-evidence/1";
constexpr std::string_view binding_domain{"ingot-quote/1\0", 14};

json::Value encode_pcrs(const PcrValues& pcrs) {
  auto out = json::Value::object();
  for (const auto& [alg, bank] : pcrs) {
    auto values = json::Value::object();
    for (const auto& [index, value] : bank) values[std::to_string(index)] = to_hex(value);
    out[to_text(alg)] = std::move(values);
  }
  return out;
}

Result<PcrBank> decode_bank(HashAlg alg, const json::Value& values) {
  if (!values.is_object()) return fail(ErrorCode::malformed, "not a JSON object");
  PcrBank bank;
  for (const auto& [name, value] : values.items()) {
    PcrIndex index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (error != std::errc{} || end != name.data() + name.size() || index >= pcr_count || std::to_string(index) != name)
      return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a PCR; 0 to 23 are", name));
    auto bytes = TRY(json::hex(value, fmt::format("PCR {}", index)));
    if (bytes.size() != digest_size_bytes(alg))
      return fail(ErrorCode::malformed, fmt::format("PCR {} has {} bytes", index, bytes.size()));
    bank[index] = std::move(bytes);
  }
  return bank;
}

Result<PcrValues> decode_pcrs(const json::Value& document) {
  PcrValues pcrs;
  const auto* banks = TRY(json::member(document, "pcrs"));
  if (!banks->is_object()) return fail(ErrorCode::malformed, "\"pcrs\" is not an object");
  for (const auto& [name, values] : banks->items()) {
    const auto alg = parse_hash_alg(name);
    if (!alg) return fail(ErrorCode::malformed, fmt::format("\"pcrs\": \"{}\" is not a bank", name));
    pcrs[*alg] = TRY_IN(fmt::format("\"pcrs\", {}", name), decode_bank(*alg, values));
  }
  return pcrs;
}

/// Evidence of a probe, or of an agent from before there were reports, has no such member.
Result<std::optional<NodeReport>> decode_report_member(const json::Value& document) {
  const auto* parts = json::find(document, "report");
  if (parts == nullptr) return std::optional<NodeReport>{};
  if (!parts->is_object()) return fail(ErrorCode::malformed, "not a JSON object");
  if (parts->size() > report_part_count_cap)
    return fail(ErrorCode::limit, fmt::format("more than {} parts", report_part_count_cap));
  NodeReport report;
  for (const auto& [name, value] : parts->items()) {
    if (!value.is_string()) return fail(ErrorCode::malformed, fmt::format("\"{}\" is not a text", name));
    report.parts.emplace(name, value.get<std::string>());
  }
  return report;
}

}  // namespace

std::string encode_evidence(const Evidence& evidence) {
  json::Value document{
      {"format", format_name},
      {"node", evidence.node},
      {"nonce", to_base64(evidence.nonce)},
      {"channel_binding", to_base64(evidence.channel_binding)},
      {"event_log", to_base64(evidence.event_log)},
      {"userspace_log", to_base64(evidence.userspace_log)},
      {"ima_log", to_base64(evidence.ima_log)},
      {"pcrs", encode_pcrs(evidence.pcrs)},
      {"quote", {{"attest", to_base64(evidence.quote_attest)}, {"signature", to_base64(evidence.quote_signature)}}},
      {"ak_public", to_base64(evidence.ak_public)},
      {"ek_certificate", to_base64(evidence.ek_certificate)},
      {"kernel_command_line", evidence.kernel_command_line},
      {"os_release", evidence.os_release},
      {"agent_version", evidence.agent_version}};
  if (evidence.report) document["report"] = evidence.report->parts;
  // A node's texts may hold any bytes; JSON holds UTF-8 only.
  return json::write(document);
}

Result<Evidence> decode_evidence(Bytes text) {
  if (text.size() > evidence_size_cap_bytes) return fail(ErrorCode::limit, "evidence of more than 64 MiB");
  const auto document = TRY_IN("evidence", json::parse(text));
  const auto format = TRY_IN("evidence", json::text(document, "format"));
  if (format != format_name)
    return fail(ErrorCode::unsupported,
                fmt::format("evidence of format \"{}\"; \"{}\" is handled", format, format_name),
                "give what this version's ingot-agent wrote");
  TRY_IN("evidence", json::only(document, {"format", "node", "nonce", "channel_binding", "event_log", "userspace_log",
                                           "ima_log", "pcrs", "quote", "ak_public", "ek_certificate",
                                           "kernel_command_line", "os_release", "agent_version", "report"}));
  const auto* quote = TRY_IN("evidence", json::member(document, "quote"));
  TRY_IN("evidence, quote", json::only(*quote, {"attest", "signature"}));
  Evidence evidence;
  evidence.node = TRY_IN("evidence", json::optional_text(document, "node"));
  evidence.nonce = TRY_IN("evidence", json::optional_base64(document, "nonce"));
  evidence.channel_binding = TRY_IN("evidence", json::optional_base64(document, "channel_binding"));
  evidence.event_log = TRY_IN("evidence", json::optional_base64(document, "event_log"));
  evidence.userspace_log = TRY_IN("evidence", json::optional_base64(document, "userspace_log"));
  evidence.ima_log = TRY_IN("evidence", json::optional_base64(document, "ima_log"));
  evidence.pcrs = TRY_IN("evidence", decode_pcrs(document));
  evidence.quote_attest = TRY_IN("evidence", json::optional_base64(*quote, "attest"));
  evidence.quote_signature = TRY_IN("evidence", json::optional_base64(*quote, "signature"));
  evidence.ak_public = TRY_IN("evidence", json::optional_base64(document, "ak_public"));
  evidence.ek_certificate = TRY_IN("evidence", json::optional_base64(document, "ek_certificate"));
  evidence.kernel_command_line = TRY_IN("evidence", json::optional_text(document, "kernel_command_line"));
  evidence.os_release = TRY_IN("evidence", json::optional_text(document, "os_release"));
  evidence.agent_version = TRY_IN("evidence", json::optional_text(document, "agent_version"));
  evidence.report = TRY_IN("evidence, report", decode_report_member(document));
  return evidence;
}

Buffer quote_binding(const Evidence& evidence) {
  return quote_binding(evidence, {crypto::sha256(evidence.event_log), crypto::sha256(evidence.userspace_log),
                                  crypto::sha256(evidence.ima_log)});
}

Buffer quote_binding(const Evidence& evidence, const LogDigests& logs) {
  Writer out;
  out.text(binding_domain);
  for (const Bytes field : {Bytes(evidence.nonce), as_bytes(evidence.node), Bytes(evidence.channel_binding)})
    out.u32be(static_cast<std::uint32_t>(field.size())).bytes(field);
  for (const auto* log : {&logs.event_log, &logs.userspace_log, &logs.ima_log}) out.bytes(*log);
  if (evidence.report) out.bytes(report_digest(*evidence.report));
  return crypto::sha256(out.view());
}

}  // namespace ingot::codec
