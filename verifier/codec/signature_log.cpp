#include "ingot/codec/signature_log.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ingot/crypto/hash.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr std::size_t hash_size_bytes = 32;
constexpr std::size_t digest_cap_bytes = 64;

Result<Buffer> hash_member(const json::Value& object, const char* name) {
  auto bytes = TRY(json::hex(*TRY(json::member(object, name)), name));
  if (bytes.size() != hash_size_bytes)
    return fail(ErrorCode::malformed,
                fmt::format("\"{}\" of {} bytes, expected {}", name, bytes.size(), hash_size_bytes));
  return bytes;
}

}  // namespace

Result<std::string> encode_signature_entry(const SignatureEntry& entry) {
  json::Value object{{"previous", to_hex(entry.previous)},
                     {"time", entry.time},
                     {"user", entry.user},
                     {"host", entry.host},
                     {"what", entry.what},
                     {"signed", to_hex(entry.signed_sha256)},
                     {"key", to_hex(entry.key_sha256)}};
  if (!entry.login.empty()) object["login"] = entry.login;
  if (!entry.digest.empty()) object["digest"] = to_hex(entry.digest);
  auto line = object.dump(-1, ' ', false, json::Value::error_handler_t::replace);
  if (line.size() > signature_line_cap_bytes)
    return fail(ErrorCode::limit, fmt::format("an entry of {} bytes for the signature log", line.size()),
                "say in fewer words what is signed");
  return line;
}

Result<SignatureEntry> decode_signature_entry(std::string_view line) {
  if (line.size() > signature_line_cap_bytes) return fail(ErrorCode::limit, "a line of more than 8 KiB");
  const auto object = TRY(json::parse(as_bytes(line)));
  TRY(json::only(object, {"previous", "time", "user", "login", "host", "what", "digest", "signed", "key"}));
  SignatureEntry entry;
  entry.previous = TRY(hash_member(object, "previous"));
  entry.time = TRY(json::text(object, "time"));
  entry.user = TRY(json::text(object, "user"));
  entry.login = TRY(json::optional_text(object, "login"));
  entry.host = TRY(json::text(object, "host"));
  entry.what = TRY(json::text(object, "what"));
  if (const auto* digest = json::find(object, "digest")) {
    entry.digest = TRY(json::hex(*digest, "digest"));
    if (entry.digest.size() > digest_cap_bytes)
      return fail(ErrorCode::limit, fmt::format("a digest of {} bytes", entry.digest.size()));
  }
  entry.signed_sha256 = TRY(hash_member(object, "signed"));
  entry.key_sha256 = TRY(hash_member(object, "key"));
  return entry;
}

Buffer signature_line_hash(std::string_view line) { return crypto::sha256(as_bytes(line)); }

Buffer empty_signature_log_head() { return Buffer(hash_size_bytes); }

bool SignatureLog::had_head(Bytes wanted) const {
  const auto same = [&](const Buffer& one) { return std::equal(one.begin(), one.end(), wanted.begin(), wanted.end()); };
  return same(empty_signature_log_head()) || std::any_of(heads.begin(), heads.end(), same);
}

SignatureLog read_signature_log(Bytes bytes) {
  SignatureLog log;
  auto text = as_text(bytes);
  while (!text.empty()) {
    const auto number = log.entries.size() + 1;
    const auto end = text.find('\n');
    if (end == std::string_view::npos) {
      log.broken = {number, "it has no line feed: its writer was interrupted, or the file was cut"};
      break;
    }
    const auto line = text.substr(0, end);
    auto entry = decode_signature_entry(line);
    if (!entry) {
      log.broken = {number, describe(entry.error())};
      break;
    }
    if (entry->previous != log.head()) {
      log.broken = {number, fmt::format("it follows a line with the hash {}, but the line before it has {}",
                                        to_hex(entry->previous), to_hex(log.head()))};
      break;
    }
    log.entries.push_back(*std::move(entry));
    log.heads.push_back(signature_line_hash(line));
    text.remove_prefix(end + 1);
  }
  return log;
}

}  // namespace ingot::codec
