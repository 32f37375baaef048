#include "ingot/codec/signing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ingot/codec/baseline.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr const char* request_format = "ingot signing request v1";
constexpr const char* answer_format = "ingot signing answer v1";
constexpr std::size_t phase_cap = 64;
constexpr std::size_t partition_type_cap = 64;
constexpr std::size_t signature_cap = 65536;

/// The value as SHA-256 in hexadecimal, lower case.
Result<std::string> sha256_text(const json::Value& object, const char* name) {
  auto text = TRY(json::text(object, name));
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != 64 || !std::all_of(text.begin(), text.end(), is_digit))
    return fail(ErrorCode::malformed, fmt::format("\"{}\" is no SHA-256", name));
  return text;
}

Result<void> check_format(const json::Value& document, const char* wanted) {
  const auto format = TRY(json::text(document, "format"));
  if (format != wanted) return fail(ErrorCode::malformed, fmt::format("this is no {}, but \"{}\"", wanted, format));
  return {};
}

Result<std::vector<std::string>> decode_phases(const json::Value& document) {
  std::vector<std::string> phases;
  for (const auto& one : *TRY(json::array(document, "phases", phase_cap))) {
    TRY(json::only(one, {"name"}));
    phases.push_back(TRY(json::text(one, "name")));
  }
  return phases;
}

Result<std::vector<Guid>> decode_types(const json::Value& document) {
  std::vector<Guid> types;
  for (const auto& one : *TRY(json::array(document, "allowed_partitions", partition_type_cap))) {
    TRY(json::only(one, {"type"}));
    const auto type = parse_guid(TRY(json::text(one, "type")));
    if (!type) return fail(ErrorCode::malformed, "a partition type that is no GUID");
    types.push_back(*type);
  }
  return types;
}

/// A line without the member is of an image whose UKI firmware starts.
Result<BootChain> decode_chain(const json::Value& document) {
  if (!document.contains("chain")) return BootChain::uki;
  const auto text = TRY(json::text(document, "chain"));
  const auto chain = parse_boot_chain(text);
  if (!chain || *chain == BootChain::uki)
    return fail(ErrorCode::malformed, fmt::format("\"{}\" is no boot chain with a first stage", text));
  return *chain;
}

Result<std::vector<RequestContent>> decode_contents(const json::Value& document, BootChain chain) {
  std::vector<const char*> names(std::begin(request_contents), std::end(request_contents));
  if (chain != BootChain::uki) names.push_back(first_stage_content);
  std::vector<RequestContent> contents;
  for (const auto& one : *TRY(json::array(document, "contents", names.size()))) {
    TRY(json::only(one, {"name", "bytes", "sha256"}));
    contents.push_back(
        {TRY(json::text(one, "name")), TRY(json::number(one, "bytes")), TRY(sha256_text(one, "sha256"))});
  }
  const bool is_whole = std::equal(contents.begin(), contents.end(), names.begin(), names.end(),
                                   [](const RequestContent& one, const char* name) { return one.name == name; });
  if (!is_whole) return fail(ErrorCode::malformed, "the contents are not those of a request, in their order");
  return contents;
}

}  // namespace

std::string encode_request_head(const RequestHead& head) {
  json::Value document{{"format", request_format},
                       {"baseline", json::Value::parse(encode_baseline_statement(head.draft))},
                       {"command_line", head.command_line},
                       {"probe_command_line", head.probe_command_line},
                       {"os_release", head.os_release},
                       {"uname", head.uname},
                       {"sbat", head.sbat},
                       {"execution_policy", head.execution_policy},
                       {"phases", json::Value::array()},
                       {"allowed_partitions", json::Value::array()},
                       {"disk_bytes", head.disk_size_bytes},
                       {"keys", {{"db", head.db_key}, {"pcr", head.pcr_key}, {"baseline", head.baseline_key}}},
                       {"contents", json::Value::array()}};
  if (!head.pcr_system_key.empty()) document["keys"]["pcr-system"] = head.pcr_system_key;
  if (head.chain != BootChain::uki) document["chain"] = to_text(head.chain);
  if (!head.vendor_db.empty()) document["vendor_db"] = to_base64(head.vendor_db);
  for (const auto& phase : head.phases) document["phases"].push_back({{"name", phase}});
  for (const auto& type : head.allowed_partitions) document["allowed_partitions"].push_back({{"type", to_text(type)}});
  for (const auto& one : head.contents)
    document["contents"].push_back({{"name", one.name}, {"bytes", one.size_bytes}, {"sha256", one.sha256}});
  return document.dump(-1, ' ', true) + "\n";
}

Result<RequestHead> decode_request_head(Bytes line) {
  const auto document = TRY(json::parse(line));
  TRY(check_format(document, request_format));
  TRY(json::only(document, {"format", "baseline", "command_line", "probe_command_line", "os_release", "uname", "sbat",
                            "execution_policy", "phases", "allowed_partitions", "disk_bytes", "keys", "contents",
                            "chain", "vendor_db"}));
  RequestHead head;
  head.draft = TRY(decode_baseline_statement(as_bytes(TRY(json::member(document, "baseline"))->dump())));
  head.command_line = TRY(json::text(document, "command_line"));
  head.probe_command_line = TRY(json::text(document, "probe_command_line"));
  head.os_release = TRY(json::text(document, "os_release"));
  head.uname = TRY(json::text(document, "uname"));
  head.sbat = TRY(json::text(document, "sbat"));
  head.execution_policy = TRY(json::text(document, "execution_policy"));
  head.phases = TRY(decode_phases(document));
  head.allowed_partitions = TRY(decode_types(document));
  head.disk_size_bytes = TRY(json::number(document, "disk_bytes"));
  const auto& keys = *TRY(json::member(document, "keys"));
  TRY(json::only(keys, {"db", "pcr", "pcr-system", "baseline"}));
  head.db_key = TRY(sha256_text(keys, "db"));
  head.pcr_key = TRY(sha256_text(keys, "pcr"));
  head.baseline_key = TRY(sha256_text(keys, "baseline"));
  if (keys.contains("pcr-system")) head.pcr_system_key = TRY(sha256_text(keys, "pcr-system"));
  head.chain = TRY(decode_chain(document));
  head.vendor_db = TRY(json::optional_base64(document, "vendor_db"));
  if (head.vendor_db.empty() != (head.chain != BootChain::shim))
    return fail(ErrorCode::malformed, "\"vendor_db\" belongs to the chain \"shim\", and to no other");
  head.contents = TRY(decode_contents(document, head.chain));
  return head;
}

std::string encode_signing_answer(const SigningAnswer& answer) {
  json::Value document{{"format", answer_format}, {"request", answer.request}, {"signatures", json::Value::array()}};
  for (const auto& one : answer.signatures)
    document["signatures"].push_back({{"what", one.what},
                                      {"key", one.key_id},
                                      {"message_sha256", one.message},
                                      {"signature", to_base64(one.signature)}});
  return json::write(document);
}

Result<SigningAnswer> decode_signing_answer(Bytes text) {
  const auto document = TRY(json::parse(text));
  TRY(check_format(document, answer_format));
  TRY(json::only(document, {"format", "request", "signatures"}));
  SigningAnswer answer;
  answer.request = TRY(sha256_text(document, "request"));
  for (const auto& one : *TRY(json::array(document, "signatures", signature_cap))) {
    TRY(json::only(one, {"what", "key", "message_sha256", "signature"}));
    AnsweredSignature signature{TRY(json::text(one, "what")), TRY(sha256_text(one, "key")),
                                TRY(sha256_text(one, "message_sha256")), TRY(json::optional_base64(one, "signature"))};
    if (signature.signature.empty()) return fail(ErrorCode::malformed, "a signature without one");
    for (const auto& other : answer.signatures)
      if (other.key_id == signature.key_id && other.message == signature.message)
        return fail(ErrorCode::malformed, fmt::format("two signatures of \"{}\"", signature.what));
    answer.signatures.push_back(std::move(signature));
  }
  return answer;
}

}  // namespace ingot::codec
