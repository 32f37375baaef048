// RFC 7464: each record is RS (0x1E), a JSON text, LF. The members are those of the TCG Canonical Event Log Format's
// "CEL-JSON", as systemd-pcrextend writes them (systemd-pcrextend(8), "Files").
#include <fmt/format.h>

#include "ingot/codec/event_log.hpp"
#include "json.hpp"

namespace ingot::codec {
namespace {

constexpr char record_separator = '\x1E';
constexpr std::uint64_t log_cap_bytes = 16u << 20;

Result<Digests> decode_digests(const json::Value& record) {
  Digests digests;
  for (const auto& one : *TRY(json::array(record, "digests", log_algorithm_cap))) {
    const auto name = TRY(json::text(one, "hashAlg"));
    auto digest = TRY(json::hex(*TRY(json::member(one, "digest")), "\"digest\""));
    const auto alg = parse_hash_alg(name);
    if (!alg) continue;  // a bank that we cannot hash is none that we judge by
    if (digest.size() != digest_size_bytes(*alg))
      return fail(ErrorCode::malformed, fmt::format("a {} digest of {} bytes", name, digest.size()));
    if (!digests.emplace(*alg, std::move(digest)).second)
      return fail(ErrorCode::malformed, fmt::format("two {} digests", name));
  }
  return digests;
}

/// Nothing for a record that extends no PCR.
Result<std::optional<Event>> decode_record(Bytes text) {
  const auto record = TRY(json::parse(text));
  if (json::find(record, "pcr") == nullptr && json::find(record, "nv_index") != nullptr) return std::nullopt;
  Event event;
  const auto pcr = TRY(json::number(record, "pcr"));
  if (pcr >= pcr_count) return fail(ErrorCode::malformed, fmt::format("PCR {}; there are 24", pcr));
  event.pcr = static_cast<PcrIndex>(pcr);
  event.type = EventType::EV_IPL;
  event.digests = TRY(decode_digests(record));
  if (const auto* content = json::find(record, "content"); content != nullptr && content->is_object())
    event.data = to_buffer(as_bytes(TRY(json::optional_text(*content, "string"))));
  return event;
}

}  // namespace

Result<std::vector<Event>> decode_userspace_log(Bytes json_seq) {
  if (json_seq.size() > log_cap_bytes) return fail(ErrorCode::limit, "a userspace log of more than 16 MiB");
  std::string_view rest = as_text(json_seq);
  std::vector<Event> events;
  for (std::size_t index = 0; !rest.empty(); ++index) {
    if (rest.front() != record_separator)
      return fail(Error{ErrorCode::malformed,
                        "a record that does not start with RS (0x1E)",
                        {},
                        json_seq.size() - rest.size(),
                        std::nullopt});
    if (index >= event_count_cap) return fail(ErrorCode::limit, fmt::format("more than {} records", event_count_cap));
    rest.remove_prefix(1);
    const auto text = rest.substr(0, rest.find(record_separator));
    rest.remove_prefix(text.size());
    // RFC 7464, "Parsing": a record without its line feed may have been cut off.
    if (!text.ends_with('\n'))
      return fail(ErrorCode::malformed, fmt::format("record {} is cut off: no line feed at its end", index));
    if (auto event = TRY_IN(fmt::format("record {}", index), decode_record(as_bytes(text))))
      events.push_back(*std::move(event));
  }
  return events;
}

Buffer encode_userspace_log(const std::vector<Event>& events) {
  std::string out;
  for (const auto& event : events) {
    auto digests = json::Value::array();
    for (const auto& [alg, digest] : event.digests)
      digests.push_back({{"hashAlg", to_text(alg)}, {"digest", to_hex(digest)}});
    const json::Value record{{"pcr", event.pcr},
                             {"digests", digests},
                             {"content_type", "systemd"},
                             {"content", {{"string", as_text(event.data)}}}};
    out += record_separator + record.dump(-1, ' ', false, json::Value::error_handler_t::replace) + '\n';
  }
  return to_buffer(as_bytes(out));
}

}  // namespace ingot::codec
