#include "cel_json.hpp"

#include <fmt/format.h>

namespace ingot::codec {
namespace {

constexpr std::size_t algorithm_cap = 16;

}  // namespace

Result<std::vector<json::Value>> read_json_sequence(Bytes text, std::size_t record_cap) {
  std::vector<json::Value> records;
  for (auto rest = as_text(text); !rest.empty();) {
    if (static_cast<std::uint8_t>(rest.front()) != json_record_separator)
      return fail(Error{ErrorCode::malformed,
                        "a record that does not start with RS (0x1E)",
                        {},
                        text.size() - rest.size(),
                        std::nullopt});
    if (records.size() >= record_cap) return fail(ErrorCode::limit, fmt::format("more than {} records", record_cap));
    rest.remove_prefix(1);
    const auto one = rest.substr(0, rest.find(static_cast<char>(json_record_separator)));
    rest.remove_prefix(one.size());
    // RFC 7464, "Parsing": a record without its line feed may have been cut off.
    if (!one.ends_with('\n'))
      return fail(ErrorCode::malformed, fmt::format("record {} is cut off: no line feed at its end", records.size()));
    records.push_back(TRY_IN(fmt::format("record {}", records.size()), json::parse(as_bytes(one))));
  }
  return records;
}

Result<Digests> decode_cel_digests(const json::Value& record) {
  Digests digests;
  for (const auto& one : *TRY(json::array(record, "digests", algorithm_cap))) {
    const auto name = TRY(json::text(one, "hashAlg"));
    const auto digest = TRY(json::hex(*TRY(json::member(one, "digest")), "\"digest\""));
    const auto alg = parse_hash_alg(name);
    if (!alg) continue;  // a bank that we cannot hash is none that we judge by
    if (digest.size() != digest_size_bytes(*alg))
      return fail(ErrorCode::malformed, fmt::format("a {} digest of {} bytes", name, digest.size()));
    if (!digests.emplace(*alg, digest).second) return fail(ErrorCode::malformed, fmt::format("two {} digests", name));
  }
  return digests;
}

json::Value encode_cel_digests(const Digests& digests) {
  auto out = json::Value::array();
  for (const auto& [alg, digest] : digests) out.push_back({{"hashAlg", to_text(alg)}, {"digest", to_hex(digest)}});
  return out;
}

}  // namespace ingot::codec
