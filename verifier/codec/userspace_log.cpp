// RFC 7464: each record is RS (0x1E), a JSON text, LF. The members are those of the TCG Canonical Event Log Format's
// "CEL-JSON", as systemd-pcrextend writes them (systemd-pcrextend(8), "Files").
#include <fmt/format.h>

#include "cel_json.hpp"
#include "ingot/codec/event_log.hpp"

namespace ingot::codec {
namespace {

constexpr std::uint64_t log_cap_bytes = 16u << 20;

/// Nothing for a record that extends no PCR.
Result<std::optional<Event>> decode_record(const json::Value& record) {
  if (json::find(record, "pcr") == nullptr && json::find(record, "nv_index") != nullptr) return std::nullopt;
  Event event;
  const auto pcr = TRY(json::number(record, "pcr"));
  if (pcr >= pcr_count) return fail(ErrorCode::malformed, fmt::format("PCR {}; there are 24", pcr));
  event.pcr = static_cast<PcrIndex>(pcr);
  event.type = EventType::EV_IPL;
  event.digests = TRY(decode_cel_digests(record));
  if (const auto* content = json::find(record, "content"); content != nullptr && content->is_object())
    event.data = to_buffer(as_bytes(TRY(json::optional_text(*content, "string"))));
  return event;
}

}  // namespace

Result<std::vector<Event>> decode_userspace_log(Bytes json_seq) {
  if (json_seq.size() > log_cap_bytes) return fail(ErrorCode::limit, "a userspace log of more than 16 MiB");
  std::vector<Event> events;
  std::size_t index = 0;
  for (const auto& record : TRY(read_json_sequence(json_seq, event_count_cap)))
    if (auto event = TRY_IN(fmt::format("record {}", index++), decode_record(record)))
      events.push_back(*std::move(event));
  return events;
}

Buffer encode_userspace_log(const std::vector<Event>& events) {
  std::string out;
  for (const auto& event : events) {
    const json::Value record{{"pcr", event.pcr},
                             {"digests", encode_cel_digests(event.digests)},
                             {"content_type", "systemd"},
                             {"content", {{"string", as_text(event.data)}}}};
    out += static_cast<char>(json_record_separator) +
           record.dump(-1, ' ', false, json::Value::error_handler_t::replace) + '\n';
  }
  return to_buffer(as_bytes(out));
}

}  // namespace ingot::codec
